"""Puts results of faults/ into the table of docs/reliability.md: fault_table.py DOCUMENT RESULTS

The table stands between two comments.  A row of a fault that is among the results is replaced; the others stay.
"""

import sys

BEGIN, END = "<!-- faults -->", "<!-- /faults -->"
HEAD = ("| | Fault | What came of it | The promise | Date, PostgreSQL | Again |\n"
        "| --- | --- | --- | --- | --- | --- |\n")


def row(line):
    number, name, figures, outcome, date, version, seed, file = line.rstrip("\n").split("\t")
    return (f"{int(number):02d}", f"| {int(number):02d} | {name} | {figures} | {outcome} | {date}, {version} | "
            f"`script/faults --full --seed {seed} {file}` |\n")


def main(document, results):
    with open(document, encoding="utf-8") as f:
        before, rest = f.read().split(BEGIN)
    table, after = rest.split(END)
    rows = {}
    for line in table.splitlines(keepends=True):
        cells = line.split("|")
        if len(cells) > 2 and cells[1].strip().isdigit():
            rows[cells[1].strip(), cells[2].strip()] = line
    with open(results, encoding="utf-8") as f:
        for line in f:
            number, text = row(line)
            rows[number, line.split("\t")[1]] = text
    with open(document, "w", encoding="utf-8") as f:
        f.write(before + BEGIN + "\n" + HEAD + "".join(rows[key] for key in sorted(rows)) + END + after)


if __name__ == "__main__":
    main(*sys.argv[1:])

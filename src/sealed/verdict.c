/*
 * verdict.c
 *		Verdicts of many rows at once: eight bytes in a word.
 */
#include "postgres.h"

#include "base/compat.h"
#include "sealed/verdict.h"

#define EACH(byte) (UINT64CONST(0x0101010101010101) * (byte))

/* Beyond so many codes with another verdict than most, rows are looked up one by one. */
#define MOST_OTHERS 4

static inline uint64
load(const uint8 *from)
{
	uint64 eight;

	memcpy(&eight, from, sizeof(eight));
	return eight;
}

static inline void
store(uint8 *to, uint64 eight)
{
	memcpy(to, &eight, sizeof(eight));
}

/* 1 in each byte that is zero, 0 in all others. */
static inline uint64
zeros(uint64 eight)
{
	return ~(((eight & EACH(0x7F)) + EACH(0x7F)) | eight | EACH(0x7F)) >> 7;
}

/* The verdict that most codes have. */
static uint8
most_frequent(const uint8 *by_code, int n_codes)
{
	int counts[WT_UNKNOWN + 1] = {0};
	int best = WT_FALSE;

	for (int code = 0; code < n_codes; code++)
		counts[by_code[code]]++;
	for (int verdict = WT_NULL; verdict <= WT_UNKNOWN; verdict++)
		if (counts[verdict] > counts[best])
			best = verdict;
	return best;
}

void
wt_verdicts_of_codes(const uint8 *codes, int n, const uint8 *by_code, int n_codes,
					 uint8 *verdicts)
{
	uint8 most = most_frequent(by_code, n_codes);
	int others[MOST_OTHERS], n_others = 0, row;

	for (int code = 0; code < n_codes; code++)
		if (by_code[code] != most)
		{
			if (n_others == MOST_OTHERS)
			{
				for (row = 0; row < n; row++)
					verdicts[row] = by_code[codes[row]];
				return;
			}
			others[n_others++] = code;
		}
	memset(verdicts, most, n);
	for (int i = 0; i < n_others; i++)
	{
		uint64 code = EACH(others[i]), change = most ^ by_code[others[i]];

		for (row = 0; row + 8 <= n; row += 8)
			store(verdicts + row,
				  load(verdicts + row) ^ zeros(load(codes + row) ^ code) * change);
		for (; row < n; row++)
			if (codes[row] == others[i])
				verdicts[row] = by_code[others[i]];
	}
}

int
wt_verdicts_select(const uint8 *verdicts, int n, uint8 *selected, bool *unknown)
{
	uint64 not_known = 0;
	int n_left = 0, row = 0;

	StaticAssertStmt(WT_TRUE == 2 && WT_UNKNOWN == 3,
					 "the second bit says that it may be true");
	for (; row + 8 <= n; row += 8)
	{
		uint64 verdict = load(verdicts + row);
		uint64 left = load(selected + row) & (verdict >> 1);

		store(selected + row, left);
		not_known |= left & verdict;
		n_left += (int) (left * EACH(1) >> 56);
	}
	for (; row < n; row++)
	{
		selected[row] &= verdicts[row] >> 1;
		not_known |= selected[row] & verdicts[row];
		n_left += selected[row];
	}
	*unknown = not_known != 0;
	return n_left;
}

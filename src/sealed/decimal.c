/*
 * decimal.c
 *		Writes numerics as they lie on disk, which no release of PostgreSQL has changed since 9.1.
 *
 * All have the short form: a header of 16 bits (sign, decimals, weight) and digits of base
 * 10,000, without zeros at either end.
 */
#include "postgres.h"

#include "base/compat.h"
#include "column/forms.h"
#include "sealed/decimal.h"

#define BASE 10000
#define SHORT 0x8000
#define SHORT_NEGATIVE 0x2000
#define SHORT_DECIMALS_SHIFT 7
#define SHORT_WEIGHT_NEGATIVE 0x40
#define SHORT_WEIGHT_MASK 0x3F

int
wt_decimal_numeric(int64 value, int decimals, char *out)
{
	uint64 magnitude = value < 0 ? -(uint64) value : (uint64) value;
	uint64 power = (uint64) wt_powers_of_ten[decimals];
	uint64 whole = magnitude / power, fraction = magnitude % power;
	int16 digits[16];
	int n_fraction = (decimals + 3) / 4, end = lengthof(digits), begin = end, weight;
	uint16 header;
	int size;

	Assert(decimals >= 0 && decimals <= WT_NUMERIC_DECIMALS);
	/* Four decimals are a digit; what lacks to the last one is zeros. */
	fraction *= (uint64) wt_powers_of_ten[n_fraction * 4 - decimals];
	for (int i = 0; i < n_fraction; i++)
	{
		digits[--begin] = fraction % BASE;
		fraction /= BASE;
	}
	weight = -1;
	for (; whole > 0; whole /= BASE)
	{
		digits[--begin] = whole % BASE;
		weight++;
	}
	while (begin < end && digits[begin] == 0)
	{
		begin++;
		weight--;
	}
	while (end > begin && digits[end - 1] == 0)
		end--;
	if (begin == end)
		weight = 0;
	header = SHORT | (value < 0 ? SHORT_NEGATIVE : 0) | decimals << SHORT_DECIMALS_SHIFT |
			 (weight < 0 ? SHORT_WEIGHT_NEGATIVE : 0) | (weight & SHORT_WEIGHT_MASK);
	size = VARHDRSZ + sizeof(header) + (end - begin) * sizeof(int16);
	SET_VARSIZE(out, size);
	memcpy(out + VARHDRSZ, &header, sizeof(header));
	memcpy(out + VARHDRSZ + sizeof(header), digits + begin,
		   (end - begin) * sizeof(int16));
	return size;
}

/*
 * crc.c
 *		CRC-32C: by the processor's instruction where it has one, else by tables, eight
 *		bytes at a time.
 */
#include "column/bytes.h"
#include "column/crc.h"

/* WT_CRC_BY_TABLES is for tests of the tables where there is an instruction. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(WT_CRC_BY_TABLES)
#include <nmmintrin.h>
#define HAS_INSTRUCTION 1
#endif

#define POLYNOMIAL 0x82F63B78u /* reflected */

static uint32_t tables[8][256];
static bool tables_made;

static void
make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++)
	{
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		tables[0][i] = crc;
	}
	for (int t = 1; t < 8; t++)
		for (int i = 0; i < 256; i++)
			tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xFF];
	tables_made = true;
}

static uint32_t
by_tables(uint32_t crc, const uint8_t *p, size_t length)
{
	if (!tables_made)
		make_tables();
	for (; length >= 8; p += 8, length -= 8)
	{
		uint64_t word = wt_load64(p) ^ crc;

		crc = 0;
		for (int i = 0; i < 8; i++)
			crc ^= tables[7 - i][word >> 8 * i & 0xFF];
	}
	for (; length > 0; p++, length--)
		crc = crc >> 8 ^ tables[0][(crc ^ *p) & 0xFF];
	return crc;
}

#ifdef HAS_INSTRUCTION
__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t crc, const uint8_t *p, size_t length)
{
	uint64_t wide = crc;

	for (; length >= 8; p += 8, length -= 8)
		wide = _mm_crc32_u64(wide, wt_load64(p));
	crc = (uint32_t) wide;
	for (; length > 0; p++, length--)
		crc = _mm_crc32_u8(crc, *p);
	return crc;
}
#endif

uint32_t
wt_crc32c(uint32_t crc, const void *bytes, size_t length)
{
#ifdef HAS_INSTRUCTION
	if (__builtin_cpu_supports("sse4.2"))
		return ~by_instruction(~crc, bytes, length);
#endif
	return ~by_tables(~crc, bytes, length);
}

uint32_t
wt_part_checksum(const char *bytes, size_t length, int32_t chunk, int part)
{
	char numbers[8];

	wt_store32(numbers, (uint32_t) chunk);
	wt_store32(numbers + 4, (uint32_t) part);
	return wt_crc32c(wt_crc32c(0, bytes, length), numbers, sizeof(numbers));
}

bool
wt_part_is_sound(const char *bytes, size_t *length, int32_t chunk, int part)
{
	size_t without;

	if (*length < WT_CHECKSUM_SIZE)
		return false;
	without = *length - WT_CHECKSUM_SIZE;
	if (wt_load32(bytes + without) != wt_part_checksum(bytes, without, chunk, part))
		return false;
	*length = without;
	return true;
}

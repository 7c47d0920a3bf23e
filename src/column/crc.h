/*
 * crc.h
 *		CRC-32C (Castagnoli), and the checksum at the end of a part.
 */
#ifndef WT_COLUMN_CRC_H
#define WT_COLUMN_CRC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WT_CHECKSUM_SIZE 4

/* Of bytes that follow those of which crc is; start with 0. */
extern uint32_t wt_crc32c(uint32_t crc, const void *bytes, size_t length);

/* What stands behind these bytes of a part: of them, its chunk's number and its own. */
extern uint32_t wt_part_checksum(const char *bytes, size_t length, int32_t chunk,
								 int part);

/* Whether a part ends with its checksum; *length becomes that without. */
extern bool wt_part_is_sound(const char *bytes, size_t *length, int32_t chunk, int part);

#endif

/*
 * spill.c
 *		What has been written and cannot be sent yet, in a temporary file.
 */
#include "postgres.h"

#include "storage/fd.h"
#include "utils/wait_event.h"

#include "viewer/spill.h"

/* What is read of it at a time, bytes. */
#define BLOCK (64 * 1024)

static void
end(void *arg)
{
	wt_spill_clear(arg);
}

void
wt_spill_begin(WtSpill *spill, MemoryContext context)
{
	memset(spill, 0, sizeof(*spill));
	spill->on_end.func = end;
	spill->on_end.arg = spill;
	MemoryContextRegisterResetCallback(context, &spill->on_end);
}

void
wt_spill_write(WtSpill *spill, WtBuffer *from)
{
	if (from->failed)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	if (from->length == 0)
		return;
	if (spill->file == 0)
		spill->file = OpenTemporaryFile(true);
	if (FileWrite(spill->file, from->data, (int) from->length, (off_t) spill->written,
				  WAIT_EVENT_BUFFILE_WRITE) != (int) from->length)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not write to a temporary file: %m")));
	spill->written += from->length;
	from->length = 0;
}

size_t
wt_spill_size(const WtSpill *spill)
{
	return spill->written - spill->taken;
}

void
wt_spill_take(WtSpill *spill, WtBuffer *to, size_t most)
{
	char *block = palloc(BLOCK);

	while (most > 0 && wt_spill_size(spill) > 0)
	{
		size_t n = Min(Min(most, BLOCK), wt_spill_size(spill));

		if (FileRead(spill->file, block, (int) n, (off_t) spill->taken,
					 WAIT_EVENT_BUFFILE_READ) != (int) n)
			ereport(ERROR, (errcode_for_file_access(),
							errmsg("could not read from a temporary file: %m")));
		wt_buffer_add(to, block, n);
		spill->taken += n;
		most -= n;
	}
	pfree(block);
	if (wt_spill_size(spill) == 0)
		wt_spill_clear(spill);
}

void
wt_spill_clear(WtSpill *spill)
{
	if (spill->file != 0)
		FileClose(spill->file);
	spill->file = 0;
	spill->written = spill->taken = 0;
}

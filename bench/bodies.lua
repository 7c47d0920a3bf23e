-- wrk: requests that were prepared in a file, one after the other.
--
--   wrk -s bodies.lua -c 4 http://... -- requests [mark]
--
-- The file requests holds whole requests, head and body; requests.lengths their lengths,
-- one a line. Where a mark stands in a request there is a number of as many digits
-- instead, another one in each pass over the file, and in each run.
local bodies = {}
local next_body = 0
local mark, pass

function init(args)
	local file = assert(io.open(args[1], "rb"))
	for length in io.lines(args[1] .. ".lengths") do
		bodies[#bodies + 1] = file:read(tonumber(length))
	end
	file:close()
	mark = args[2]
	pass = os.time() % 1e8 * 1e4
end

function request()
	next_body = next_body % #bodies + 1
	if not mark then
		return bodies[next_body]
	end
	if next_body == 1 then
		pass = pass + 1
	end
	return (bodies[next_body]:gsub(mark, string.format("%0" .. #mark .. ".0f", pass)))
end

function done(summary, latency, requests)
	dofile((os.getenv("WT_BENCH") or ".") .. "/report.lua")(summary, latency)
end

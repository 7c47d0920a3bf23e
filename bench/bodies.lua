-- wrk: requests that were prepared in a file, one after the other.
--
--   wrk -s bodies.lua -c 4 http://... -- requests
--
-- The file requests holds whole requests, head and body; requests.lengths their lengths,
-- one a line.
local bodies = {}
local next_body = 0

function init(args)
	local file = assert(io.open(args[1], "rb"))
	for length in io.lines(args[1] .. ".lengths") do
		bodies[#bodies + 1] = file:read(tonumber(length))
	end
	file:close()
end

function request()
	next_body = next_body % #bodies + 1
	return bodies[next_body]
end

function done(summary, latency, requests)
	dofile((os.getenv("WT_BENCH") or ".") .. "/report.lua")(summary, latency)
end

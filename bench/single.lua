-- wrk: one event a request.  With an argument, so many requests a second and no more.
--
--   wrk -s single.lua -c 64 http://... -- event.json [rate]
--
-- wrk sends when the last answer has come; between them it asks delay() for how many
-- milliseconds to wait.  Here all connections of the thread draw their times from one
-- even schedule; what falls behind is sent at once, so the rate is kept while any
-- connection is free.  Whole milliseconds are all there is, so they are rounded up or
-- down by chance, and requests come in small bursts.
local ffi = require("ffi")
ffi.cdef [[
	struct wt_time { long s; long ns; };
	int clock_gettime(int clock, struct wt_time *t);
]]

local t = ffi.new("struct wt_time")

local function now_ms()
	ffi.C.clock_gettime(1, t)
	return tonumber(t.s) * 1e3 + tonumber(t.ns) / 1e6
end

function init(args)
	local file = assert(io.open(args[1], "rb"))
	wrk.method = "POST"
	wrk.headers["Content-Type"] = "application/json"
	wrk.body = file:read("*a")
	file:close()

	if args[2] then
		local interval = 1e3 / tonumber(args[2])
		local start
		local n = 0

		function delay()
			local now = now_ms()
			start = start or now
			local wait = start + n * interval - now
			n = n + 1
			return math.max(0, math.floor(wait + math.random()))
		end
	end
end

function done(summary, latency, requests)
	dofile((os.getenv("WT_BENCH") or ".") .. "/report.lua")(summary, latency)
end

-- wrk: its result as one line that measure.py reads.
return function(summary, latency)
	local e = summary.errors
	io.write(string.format("RESULT requests=%d us=%d p50=%d p99=%d max=%d refused=%d broken=%d\n",
		summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
		latency.max, e.status, e.connect + e.read + e.write + e.timeout))
end

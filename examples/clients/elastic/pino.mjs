// pino to WindTrap: npm install pino pino-elasticsearch && node pino.mjs
// Where a token is needed, it is the password in the URL: http://any:TOKEN@127.0.0.1:8000
import pino from "pino";
import pinoElastic from "pino-elasticsearch";

const stream = pinoElastic({
    node: process.env.WINDTRAP_URL ?? "http://127.0.0.1:8000",
    index: "shop",
    flushInterval: 500,
});
stream.on("insertError", (error) => console.error("not stored:", error.document));

// Its time is `time`, which Elasticsearch has as @timestamp.
const log = pino({ timestamp: () => `,"@timestamp":"${new Date().toISOString()}"` }, stream);
log.info("user alice logged in");
log.warn({ order: { id: 42 } }, "Grüße, 世界 🚀");
await new Promise((done) => stream.end(done));

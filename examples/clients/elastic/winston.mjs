// winston to WindTrap: npm install winston winston-elasticsearch && node winston.mjs
// Where a token is needed, it is the password in the URL: http://any:TOKEN@127.0.0.1:8000
import winston from "winston";
import { ElasticsearchTransport } from "winston-elasticsearch";

const transport = new ElasticsearchTransport({
    clientOpts: { node: process.env.WINDTRAP_URL ?? "http://127.0.0.1:8000" },
    flushInterval: 500,
});
transport.on("error", (error) => console.error("winston-elasticsearch:", error.message));

const log = winston.createLogger({ transports: [transport] });
log.info("user alice logged in");
log.warn("Grüße, 世界 🚀", { order: { id: 42 } });
await transport.flush();
log.end();

// Splunk's own logger to WindTrap: npm install splunk-logging && node logging.mjs
// Where no token is needed, any text is good.
import splunk from "splunk-logging";

const log = new splunk.Logger({
    url: process.env.WINDTRAP_URL ?? "http://127.0.0.1:8000",
    token: process.env.WINDTRAP_TOKEN ?? "none",
    maxRetries: 5,
});
log.error = (error) => console.error("not stored:", error.message ?? error);

const metadata = { source: "shop", sourcetype: "json" };
log.send({ message: "user alice logged in", severity: "info", metadata });
log.send({ message: { text: "Grüße, 世界 🚀", order: { id: 42 } }, severity: "warn", metadata });
log.send({ message: new Error("cannot charge card").stack.replace(/^Error: /, ""), severity: "error", metadata });

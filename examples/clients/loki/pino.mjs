// pino to WindTrap by pino-loki: npm install pino pino-loki && node pino.mjs
// Where a token is needed, it is the password.  What is refused is said on standard error, and
// lost: pino-loki does not send again.
import pino from "pino";

const transport = pino.transport({
    target: "pino-loki",
    options: {
        host: process.env.WINDTRAP_URL ?? "http://127.0.0.1:8000",
        basicAuth: { username: "any", password: process.env.WINDTRAP_TOKEN ?? "" },
        labels: { app: "shop" },
        batching: { interval: 1 },
    },
});
const log = pino(transport);

log.info("user alice logged in");
log.warn({ order: { id: 42 } }, "Grüße, 世界 🚀");
log.error(new Error("cannot charge card"));
transport.end();

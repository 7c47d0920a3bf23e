// winston to WindTrap by winston-loki: npm install winston winston-loki && node winston.mjs
// Where a token is needed, it is the password.
import winston from "winston";
import Loki from "winston-loki";

const loki = new Loki({
    host: process.env.WINDTRAP_URL ?? "http://127.0.0.1:8000",
    basicAuth: `any:${process.env.WINDTRAP_TOKEN}`,
    labels: { app: "shop" },
    interval: 1,
    // The line is the event, as JSON.
    format: winston.format.json(),
    // What could not be sent waits, and is sent again after a minute.
    onConnectionError: (error) => console.error("not stored yet:", error),
});
const log = winston.createLogger({ format: winston.format.errors({ stack: true }), transports: [loki] });

log.info("user alice logged in");
log.warn("Grüße, 世界 🚀", { order: { id: 42 } });
log.error(new Error("cannot charge card"));
await loki.flush();
process.exit();

// winston to WindTrap by its own Http transport: npm install winston && node winston.mjs
// What is refused is told by the event "warn", and lost: it does not send again.
import winston from "winston";

const { hostname: host, port, protocol } = new URL(process.env.WINDTRAP_URL ?? "http://127.0.0.1:8000");
const http = new winston.transports.Http({
    host,
    port,
    ssl: protocol === "https:",
    path: "/log?time_field=timestamp",
    auth: { bearer: process.env.WINDTRAP_TOKEN },
    batch: true,
    batchInterval: 1000,
    batchCount: 100,
});
http.on("warn", (error) => console.error("not stored:", error.message));

const { combine, timestamp, errors, json } = winston.format;
const log = winston.createLogger({
    format: combine(timestamp(), errors({ stack: true }), json()),
    defaultMeta: { app: "shop" },
    transports: [http],
});

log.info("user alice logged in");
log.warn("Grüße, 世界 🚀", { order: { id: 42 } });
log.error(new Error("cannot charge card"));

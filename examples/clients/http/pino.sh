#!/bin/sh
# pino to WindTrap by a pipe: npm install pino pino-http-send && ./pino.sh
# Where a token is needed, it is the password.  What is refused is tried again five times.
node -e '
	const log = require("pino")({ base: { app: "shop" } });
	log.info("user alice logged in");
	log.warn({ order: { id: 42 } }, "Grüße, 世界 🚀");
	log.error(new Error("cannot charge card"));
' | npx pino-http-send --url "${WINDTRAP_URL:-http://127.0.0.1:8000}/log?time_field=time" \
	--bodyType ndjson --batchSize 100 --timeout 1000 --username any --password "${WINDTRAP_TOKEN:-none}"

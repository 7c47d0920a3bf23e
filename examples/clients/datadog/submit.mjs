// Datadog's own client to WindTrap: npm install @datadog/datadog-api-client && node submit.mjs
// Where a token is needed, it is the key.  `timestamp`, in ms, is the event's own time.
import datadog from "@datadog/datadog-api-client";

const { client, v2 } = datadog;
const [protocol, name] = (process.env.WINDTRAP_URL ?? "http://127.0.0.1:8000").split("://");
const configuration = client.createConfiguration({
    authMethods: { apiKeyAuth: process.env.WINDTRAP_TOKEN ?? "none" },
    serverIndex: 1,
    enableRetry: true,
});
configuration.setServerVariables({ protocol, name });

const item = (message, status, more) =>
    ({ message, service: "shop", additionalProperties: { status, timestamp: String(Date.now()), ...more } });
await new v2.LogsApi(configuration).submitLog({
    body: [
        item("user alice logged in", "info"),
        item("Grüße, 世界 🚀", "warn", { order: "42" }),
        item("cannot charge card", "error"),
    ],
});

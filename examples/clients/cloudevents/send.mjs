// CloudEvents' own SDK to WindTrap: npm install cloudevents && node send.mjs
// Where a token is needed, it is a header.  An event that is sent again with its id is stored once.
import { CloudEvent, HTTP } from "cloudevents";

const url = (process.env.WINDTRAP_URL ?? "http://127.0.0.1:8000") + "/log";

async function send(data, form = HTTP.structured) {
    const { headers, body } = form(new CloudEvent({ type: "com.example.log", source: "/shop", data }));
    headers.Authorization = `Bearer ${process.env.WINDTRAP_TOKEN}`;
    const answer = await fetch(url, { method: "POST", headers, body });
    if (!answer.ok) throw new Error(`not stored: ${answer.status} ${await answer.text()}`);
}

await send({ level: "info", message: "user alice logged in" });
await send({ level: "warn", message: "Grüße, 世界 🚀", order: { id: 42 } });
await send({ level: "error", message: "cannot charge card" }, HTTP.binary);

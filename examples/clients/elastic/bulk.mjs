// Sends events by the official client (@elastic/elasticsearch) or, with WINDTRAP_CLIENT, by
// @opensearch-project/opensearch:
//
//     npm install @elastic/elasticsearch && node bulk.mjs
//
// Where a token is needed, it is the password in the URL: http://any:TOKEN@127.0.0.1:8000
const module = await import(process.env.WINDTRAP_CLIENT ?? "@elastic/elasticsearch");
const { Client } = module.default ?? module;
const client = new Client({ node: process.env.WINDTRAP_URL ?? "http://127.0.0.1:8000" });

const events = [{ message: "user alice logged in" }, { message: "Grüße, 世界 🚀", order: { id: 42 } }];
const result = await client.helpers.bulk({
    datasource: events.map((event) => ({ "@timestamp": new Date(), ...event })),
    onDocument: () => ({ create: { _index: "shop" } }),
    // What has not been stored after all retries: keep it.
    onDrop: ({ document }) => console.error("not stored:", document),
});
console.log(`${result.successful} stored, ${result.failed} failed`);
await client.close();

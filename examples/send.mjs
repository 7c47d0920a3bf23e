// Sends one event to WindTrap (Node.js 18 or newer, or a browser's module):
//
//     node examples/send.mjs '{"app":"shop","event":"order paid","order":4711}'
//
// 200 says that the event is committed; on 408, 429 and 503, or when the connection breaks,
// send it again, with the same Idempotency-Key, so that it is stored once even if it was only
// the answer that got lost; anything else says that this event will never be stored as it is.  Why it
// tries again is said on standard error.  Where a token is needed, it is taken from
// WINDTRAP_TOKEN.

const env = globalThis.process?.env ?? {};
const headers = { "Content-Type": "application/json" };
if (env.WINDTRAP_TOKEN) headers.Authorization = `Bearer ${env.WINDTRAP_TOKEN}`;

export async function send(event, url = env.WINDTRAP_URL ?? "http://127.0.0.1:8000/log", tries = 10) {
    // crypto.randomUUID() is missing in Node.js 18, and on web pages without TLS.
    const random = () => Math.random().toString(36).slice(2);
    const key = `${Date.now().toString(36)}-${random()}-${random()}`;
    for (let attempt = 0; attempt < tries; attempt++) {
        let pause = 1;
        let reason;
        try {
            const answer = await fetch(url, {
                method: "POST",
                headers: { ...headers, "Idempotency-Key": key },
                body: JSON.stringify(event),
            });
            if (answer.ok) return await answer.json();
            reason = `${answer.status}: ${(await answer.text()).trim()}`;
            if (![408, 429, 503].includes(answer.status))
                throw Object.assign(new Error(`refused (${reason})`), { final: true });
            pause = Number(answer.headers.get("Retry-After") ?? 1);
        } catch (error) {
            if (error.final) throw error;
            // fetch says only that it failed; why is in the cause.
            reason = error.cause?.message || error.cause?.code || error.message;
            // No other try will find the certificate trusted.
            if (/CERT|VERIFY|ALTNAME/.test(error.cause?.code ?? ""))
                throw new Error(`not stored: ${reason}`);
        }
        pause = Math.min(pause * 2 ** attempt, 30);
        console.error(`not stored yet (${reason}), again in ${pause} s`);
        await new Promise((done) => setTimeout(done, pause * 1000));
    }
    throw new Error("not stored: the collector cannot be reached");
}

if (globalThis.process?.argv[2]) console.log(await send(JSON.parse(process.argv[2])));

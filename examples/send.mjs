// Sends one event to WindTrap (Node.js 18 or newer, or a browser's module):
//
//     node examples/send.mjs '{"app":"shop","event":"order paid","order":4711}'
//
// 200 says that the event is committed; on 503, or when the connection breaks, send it
// again; anything else says that this event will never be stored as it is.

export async function send(event, url = "http://127.0.0.1:8000/log", tries = 10) {
    for (let attempt = 0; attempt < tries; attempt++) {
        let pause = 1;
        try {
            const answer = await fetch(url, {
                method: "POST",
                headers: { "Content-Type": "application/json" },
                body: JSON.stringify(event),
            });
            if (answer.ok) return await answer.json();
            if (answer.status !== 503)
                throw Object.assign(new Error(await answer.text()), { refused: true });
            pause = Number(answer.headers.get("Retry-After") ?? 1);
        } catch (error) {
            if (error.refused) throw error;
        }
        await new Promise((done) => setTimeout(done, Math.min(pause * 2 ** attempt, 30) * 1000));
    }
    throw new Error("not stored: the collector cannot be reached");
}

if (globalThis.process?.argv[2]) console.log(await send(JSON.parse(process.argv[2])));

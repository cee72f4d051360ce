// How many hashes were tried, and how many coins were found.
const http = require("http");
const redis = require("redis");

const client = redis.createClient({ url: "redis://redis" });
client.on("error", (problem) => console.error(problem.message));
client.connect();

http
  .createServer(async (_request, response) => {
    const [hashes, coins] = [Number(await client.get("hashes")), await client.hLen("wallet")];
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ coins, hashes, now: Date.now() / 1000 }) + "\n");
  })
  .listen(80, "0.0.0.0");

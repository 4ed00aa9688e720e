// Reads tokens, one a line, and says of each whether jose accepts it. Arguments: the address of the
// JWK set, and how long it is kept and not fetched again, in seconds; without the latter the
// defaults of jose hold.
import { createInterface } from "node:readline";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [url, kept, cooldown] = process.argv.slice(2);
const options = kept ? { cacheMaxAge: kept * 1000, cooldownDuration: cooldown * 1000 } : {};
const keys = createRemoteJWKSet(new URL(url), options);
for await (const token of createInterface({ input: process.stdin })) {
  try {
    await jwtVerify(token, keys, {
      algorithms: ["ES256"],
      audience: "app",
      issuer: "https://issuer.example",
    });
    console.log("ok");
  } catch (error) {
    console.log("fail", error.code, error.message);
  }
}

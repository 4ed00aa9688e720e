// Reads tokens, one a line, and says of each whether the key that jwks-rsa finds made its signature.
// Arguments: the address of the JWK set, and how long a key is kept, in seconds; without the latter
// the defaults of jwks-rsa hold.
import { createInterface } from "node:readline";
import { verify } from "node:crypto";
import jwksRsa from "jwks-rsa";

const [url, kept] = process.argv.slice(2);
const options = kept ? { cacheMaxAge: kept * 1000 } : {};
const client = jwksRsa({ jwksUri: url, cache: true, ...options });
for await (const token of createInterface({ input: process.stdin })) {
  try {
    const [header, claims, signature] = token.split(".");
    const { kid } = JSON.parse(Buffer.from(header, "base64url"));
    const key = (await client.getSigningKey(kid)).getPublicKey();
    const message = Buffer.from(`${header}.${claims}`);
    const ieee = { key, dsaEncoding: "ieee-p1363" };
    if (!verify("sha256", message, ieee, Buffer.from(signature, "base64url"))) {
      throw new Error("the signature does not verify");
    }
    console.log("ok");
  } catch (error) {
    console.log("fail", error.name, error.message);
  }
}

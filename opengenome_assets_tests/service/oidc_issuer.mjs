// An OpenID Connect issuer for tests: the package oidc-provider, where each name is a program and a person, with roles.
//
//   node oidc_issuer.mjs FOLDER_OF_THE_PACKAGE PORT KEYS REDIRECT
//
// KEYS is a file with a private key set (JWKS). REDIRECT is the address to which a proxy's logins return.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, port, keys, redirect] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(`${folder}/lib/index.js`));
const ROLES = { reader: ["genomes-reader"], sender: ["genomes-reader", "genomes-sender"], nobody: ["accounting"], ada: ["genomes-sender"] };

const machines = Object.keys(ROLES).map((name) => ({
  client_id: name,
  client_secret: "a-secret-of-the-tests",
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
}));
const proxy = {
  client_id: "genomes",
  client_secret: "a-secret-of-the-tests",
  redirect_uris: [redirect],
};

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [...machines, proxy],
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  jwks: JSON.parse(readFileSync(keys)),
  cookies: { keys: ["a-key-of-the-tests"] },
  claims: { openid: ["sub", "roles"] },
  conformIdTokenClaims: false,
  pkce: { required: () => false },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, roles: ROLES[id] }) }),
  extraTokenClaims: (_, token) => ({ roles: ROLES[token.clientId] }),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, audience) => ({
        scope: "",
        audience,
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});
provider.listen(Number(port), "127.0.0.1");

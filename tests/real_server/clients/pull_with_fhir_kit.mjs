// Pulls with fhir-kit-client: BASE [SINCE]; the access token comes in TOKEN.
// Writes {"resources": […], "deleted": ["Type/id", …]} to stdout.
import { Client } from "fhir-kit-client";

const [baseUrl, since] = process.argv.slice(2);
const client = new Client({ baseUrl, bearerToken: process.env.TOKEN });
const resources = [];
const deleted = [];

async function pages(bundle, take) {
  while (bundle) {
    (bundle.entry ?? []).forEach(take);
    bundle = (bundle.link ?? []).some((one) => one.relation === "next") ? await client.nextPage({ bundle }) : null;
  }
}

for (const resourceType of ["Patient", "Immunization"]) {
  const searchParams = { _count: "11", ...(since ? { _lastUpdated: `gt${since}` } : {}) };
  await pages(await client.search({ resourceType, searchParams, options: { postSearch: true } }), (entry) =>
    resources.push(entry.resource),
  );
  if (since) {
    const address = `${resourceType}/_history?_since=${encodeURIComponent(since)}`;
    await pages(await client.request(address), (entry) => {
      if (entry.request.method === "DELETE") deleted.push(entry.request.url);
    });
  }
}
process.stdout.write(JSON.stringify({ resources, deleted }));

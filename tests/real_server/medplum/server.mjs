// Medplum's FHIR router over its memory repository, behind plain HTTP on the loopback interface only.
//
//   node --experimental-websocket server.mjs [--port N]
//
// Port 0 (the default) takes a free one. Prints "listening on URL" when it answers. Ends on SIGTERM, and when its
// standard input closes, so it never outlives the test that started it. The router has no CapabilityStatement of its
// own, so this shell states what router and repository really do.
import {
  badRequest,
  getResourceTypes,
  getSearchParameters,
  getStatus,
  MEDPLUM_VERSION,
  normalizeOperationOutcome,
} from '@medplum/core';
import { FhirRouter } from '@medplum/fhir-router';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { indexDefinitions } from './definitions.mjs';
import { IndexedRepository } from './repository.mjs';

const BASE = '/fhir';
const INTERACTIONS = ['read', 'vread', 'history-instance', 'search-type', 'create', 'update', 'patch', 'delete'];

function capabilityStatement() {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: new Date().toISOString(),
    kind: 'instance',
    software: { name: 'Medplum FHIR router', version: MEDPLUM_VERSION },
    fhirVersion: '4.0.1',
    format: ['json'],
    rest: [
      {
        mode: 'server',
        interaction: [{ code: 'batch' }],
        searchParam: [
          { name: '_count', type: 'number' },
          { name: '_offset', type: 'number' },
          { name: '_sort', type: 'string' },
        ],
        resource: getResourceTypes().map((type) => ({
          type,
          interaction: INTERACTIONS.map((code) => ({ code })),
          versioning: 'versioned-update',
          conditionalCreate: true,
          conditionalUpdate: true,
          searchParam: Object.values(getSearchParameters(type) ?? {}).map(({ code, type: kind }) => ({
            name: code,
            type: kind,
          })),
        })),
      },
    ],
  };
}

async function readBody(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  if (!text) {
    return undefined;
  }
  if (request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) {
    return parametersOf(new URLSearchParams(text));
  }
  return JSON.parse(text);
}

function parametersOf(search) {
  return Object.fromEntries([...new Set(search.keys())].map((key) => {
    const values = search.getAll(key);
    return [key, values.length > 1 ? values : values[0]];
  }));
}

async function answer(request, router, repository) {
  const path = request.url;
  if (path.split('?')[0] === `${BASE}/metadata`) {
    return { status: 200, resource: capabilityStatement() };
  }
  if (path !== BASE && !path.startsWith(`${BASE}/`) && !path.startsWith(`${BASE}?`)) {
    return { status: 404, resource: badRequest('Not under the base URL') };
  }
  const [outcome, resource] = await router.handleRequest(
    {
      method: request.method,
      url: path.slice(BASE.length) || '/',
      pathname: '',
      body: await readBody(request),
      params: {},
      query: {},
      headers: request.headers,
    },
    repository,
  );
  return { status: getStatus(outcome), resource: resource ?? outcome };
}

function send(request, response, { status, resource }) {
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/fhir+json; charset=utf-8');
  if (resource.meta?.versionId) {
    response.setHeader('ETag', `W/"${resource.meta.versionId}"`);
    response.setHeader('Last-Modified', new Date(resource.meta.lastUpdated).toUTCString());
  }
  if (status === 201) {
    const created = `${resource.resourceType}/${resource.id}/_history/${resource.meta.versionId}`;
    response.setHeader('Location', `http://${request.headers.host}${BASE}/${created}`);
  }
  response.end(JSON.stringify(resource));
}

const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } });
indexDefinitions();
const router = new FhirRouter();
const repository = new IndexedRepository();
const server = createServer(async (request, response) => {
  try {
    send(request, response, await answer(request, router, repository));
  } catch (error) {
    const outcome = error instanceof SyntaxError ? badRequest('Not JSON') : normalizeOperationOutcome(error);
    send(request, response, { status: getStatus(outcome), resource: outcome });
  }
});

function stop() {
  server.close(() => process.exit(0));
  server.closeAllConnections();
}

process.on('SIGTERM', stop);
process.stdin.on('end', stop).resume();
server.listen(Number(values.port), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}${BASE}`);
});

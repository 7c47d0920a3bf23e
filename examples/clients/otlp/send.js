// Node's events to WindTrap, by OpenTelemetry.
//
//   npm install @opentelemetry/sdk-logs @opentelemetry/resources @opentelemetry/exporter-logs-otlp-proto
//   export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://localhost:8000/v1/logs
//   export OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer TOKEN'   # where there are tokens
//   node send.js
//
// With @opentelemetry/exporter-logs-otlp-http in the place of -proto it sends JSON.
const { LoggerProvider, BatchLogRecordProcessor } = require('@opentelemetry/sdk-logs');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { OTLPLogExporter } = require(process.env.EXPORTER || '@opentelemetry/exporter-logs-otlp-proto');

const provider = new LoggerProvider({
  resource: resourceFromAttributes({ 'service.name': 'shop' }),
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })],
});
const logger = provider.getLogger('billing', '1.0');

logger.emit({ severityNumber: 9, severityText: 'INFO', body: 'user alice logged in' });
logger.emit({
  severityNumber: 13,
  severityText: 'WARN',
  body: 'Grüße, 世界 🚀',
  attributes: { order: 42, items: ['a', 'b'] },
});
logger.emit({ severityNumber: 17, severityText: 'ERROR', body: 'cannot divide' });

provider.shutdown(); // sends what is still in the batch

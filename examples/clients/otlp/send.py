"""Python's logging to WindTrap, by OpenTelemetry.

    pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
    export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://localhost:8000/v1/logs
    export OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer TOKEN'   # where there are tokens
    python3 send.py
"""
import logging

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

provider = LoggerProvider(resource=Resource.create({"service.name": "shop"}))
provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))
logging.getLogger().setLevel(logging.INFO)

logging.info("user alice logged in")
logging.warning("Grüße, 世界 🚀", extra={"order": 42, "items": ["a", "b"]})
try:
    1 / 0
except ZeroDivisionError:
    logging.exception("cannot divide")

provider.shutdown()  # sends what is still in the batch

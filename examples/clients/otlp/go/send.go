// Go's slog to WindTrap, by OpenTelemetry.
//
//	export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://localhost:8000/v1/logs
//	export OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer TOKEN'   # where there are tokens
//	go run .
package main

import (
	"context"
	"log"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	sdk "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
)

func main() {
	ctx := context.Background()
	exporter, err := otlploghttp.New(ctx)
	if err != nil {
		log.Fatal(err)
	}
	provider := sdk.NewLoggerProvider(
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "shop"))),
		sdk.WithProcessor(sdk.NewBatchProcessor(exporter)))
	logger := otelslog.NewLogger("billing", otelslog.WithLoggerProvider(provider))

	logger.Info("user alice logged in")
	logger.Warn("Grüße, 世界 🚀", "order", 42, "items", []string{"a", "b"})
	logger.Error("cannot divide")

	// Sends what is still in the batch.
	if err := provider.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}

package talosapi

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"firstlight.dev/lab/machines/internal/calllog"
)

// recorder writes every call that a machine executes into the call log.
type recorder struct {
	node  string
	calls *calllog.Log
	log   *slog.Logger
}

func (r recorder) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if calllog.Mutating(info.FullMethod) {
		r.log.Info("call", "node", r.node, "method", info.FullMethod)
	}

	response, err := handler(ctx, request)
	r.record(ctx, info.FullMethod, err)

	return response, err
}

func (r recorder) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	err := handler(server, stream)
	r.record(stream.Context(), info.FullMethod, err)

	return err
}

func (r recorder) record(ctx context.Context, method string, err error) {
	outcome := status.Convert(err)
	call := calllog.Call{
		Time: time.Now().UTC(), Node: r.node, Endpoint: endpointOf(ctx), Method: method, Mutating: calllog.Mutating(method),
		Code: outcome.Code().String(), Desc: outcome.Message(),
	}

	if err := r.calls.Append(call); err != nil {
		r.log.Error("cannot record a call", "node", r.node, "method", method, "error", err)
	}
}

func endpointOf(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if via := md[viaKey]; len(via) > 0 {
		return via[0]
	}

	return "machined"
}

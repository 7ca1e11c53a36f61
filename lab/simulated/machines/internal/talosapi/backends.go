package talosapi

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/siderolabs/grpc-proxy/proxy"
	talosnet "github.com/siderolabs/net"
	"github.com/siderolabs/talos/pkg/grpc/middleware/authz"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// viaKey carries the address that the client used, besides Talos's own metadata. The call log needs
// it.
const viaKey = "simulated-endpoint"

// maxReconnectDelay and connectLimit are those of apid.
const (
	maxReconnectDelay = 15 * time.Second
	connectLimit      = 20 * time.Second
)

// localBackend leads to the machined of the same machine.
type localBackend struct {
	conn *grpc.ClientConn
	// via is the address of the apid that the backend belongs to.
	via string
}

func newLocalBackend(listener dialer, via string) (*localBackend, error) {
	conn, err := grpc.NewClient("passthrough:///machined",
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(listener.dial), grpc.WithNoProxy(), callOptions())
	if err != nil {
		return nil, fmt.Errorf("cannot connect to machined: %w", err)
	}

	return &localBackend{conn: conn, via: via}, nil
}

func (b *localBackend) String() string { return "machined" }

// GetConnection passes on the caller's roles, which only this hop may set.
func (b *localBackend) GetConnection(ctx context.Context, _ string) (context.Context, *grpc.ClientConn, error) {
	md := incoming(ctx)
	authz.SetMetadata(md, authz.GetRoles(ctx))

	if len(md["proxyfrom"]) == 0 || len(md[viaKey]) == 0 {
		md.Set(viaKey, b.via)
	}

	return metadata.NewOutgoingContext(ctx, md), b.conn, nil
}

func (b *localBackend) AppendInfo(_ bool, response []byte) ([]byte, error) { return response, nil }
func (b *localBackend) BuildError(bool, error) ([]byte, error)             { return nil, nil }

// remoteBackend leads to the apid of a machine.
type remoteBackend struct {
	target string
	conn   *grpc.ClientConn
	via    string
}

func (b *remoteBackend) String() string { return b.target }

func (b *remoteBackend) GetConnection(ctx context.Context, _ string) (context.Context, *grpc.ClientConn, error) {
	md := incoming(ctx)
	authz.SetMetadata(md, authz.GetRoles(ctx))

	from := "unknown"
	if authority := md[":authority"]; len(authority) > 0 {
		from = authority[0]
	}

	md.Set("proxyfrom", from)
	md.Set(viaKey, b.via)
	delete(md, ":authority")
	delete(md, "nodes")
	delete(md, "node")

	return metadata.NewOutgoingContext(ctx, md), b.conn, nil
}

// messagesField is the number of the repeated "messages" field in every answer of the Talos API.
const messagesField = protowire.Number(1)

// AppendInfo adds to the answer which machine it is from.
//
// An answer of several machines is the concatenation of theirs. Each is one entry of the messages
// field, whose own first field is the metadata, so the metadata can be added to the bytes without
// knowing the type.
func (b *remoteBackend) AppendInfo(streaming bool, response []byte) ([]byte, error) {
	info, err := proto.Marshal(&common.Empty{Metadata: &common.Metadata{Hostname: b.target}})
	if err != nil {
		return nil, err
	}

	if streaming {
		return append(response, info...), nil
	}

	number, kind, tagLength := protowire.ConsumeTag(response)
	if tagLength < 0 || number != messagesField || kind != protowire.BytesType {
		return nil, fmt.Errorf("unexpected message format: field %d of type %d", number, kind)
	}

	_, sizeLength := protowire.ConsumeVarint(response[tagLength:])
	if sizeLength < 0 {
		return nil, protowire.ParseError(sizeLength)
	}

	body := response[tagLength+sizeLength:]
	head := protowire.AppendVarint(protowire.AppendTag(nil, messagesField, protowire.BytesType), uint64(len(body)+len(info)))

	return slices.Concat(head, body, info), nil
}

// BuildError turns the failure of one of several machines into an entry of the answer.
func (b *remoteBackend) BuildError(streaming bool, failure error) ([]byte, error) {
	empty := &common.Empty{Metadata: &common.Metadata{Hostname: b.target, Error: failure.Error(), Status: status.Convert(failure).Proto()}}
	if streaming {
		return proto.Marshal(empty)
	}

	return proto.Marshal(&common.EmptyResponse{Messages: []*common.Empty{empty}})
}

// remotes keeps one connection to each machine that an apid has forwarded to.
type remotes struct {
	tls  *tls.Config
	port int
	via  string
	dial func(ctx context.Context, address string) (net.Conn, error)

	mu       sync.Mutex
	backends map[string]*remoteBackend
}

// get finds the backend of a target. Creating one cannot fail for a target that checkTarget
// accepted.
func (r *remotes) get(target string) proxy.Backend {
	r.mu.Lock()
	defer r.mu.Unlock()

	if backend, ok := r.backends[target]; ok {
		return backend
	}

	params := backoff.DefaultConfig
	params.MaxDelay = maxReconnectDelay

	conn, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(target, fmt.Sprint(r.port)),
		grpc.WithTransportCredentials(credentials.NewTLS(r.tls)), grpc.WithContextDialer(r.dial), grpc.WithNoProxy(), callOptions(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: params, MinConnectTimeout: connectLimit}))
	if err != nil {
		return &proxy.SingleBackend{GetConn: func(ctx context.Context) (context.Context, *grpc.ClientConn, error) {
			return ctx, nil, status.Error(codes.Internal, err.Error())
		}}
	}

	r.backends[target] = &remoteBackend{target: target, conn: conn, via: r.via}

	return r.backends[target]
}

func (r *remotes) close() {
	r.mu.Lock()
	defer r.mu.Unlock()

	for _, backend := range r.backends {
		backend.conn.Close() //nolint:errcheck // nothing can be done about it
	}
}

func checkTarget(target string) error {
	if target == "" || talosnet.AddressContainsPort(target) {
		return status.Errorf(codes.Internal, "invalid target %q", target)
	}

	return nil
}

func callOptions() grpc.DialOption {
	return grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(constants.GRPCMaxMessageSize), grpc.ForceCodecV2(proxy.Codec()))
}

func incoming(ctx context.Context) metadata.MD {
	md, _ := metadata.FromIncomingContext(ctx)

	return md.Copy()
}

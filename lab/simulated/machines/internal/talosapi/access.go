package talosapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/grpc/middleware/authz"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// accessPolicy forbids all writes, and allows only administrators to read what is sensitive.
func accessPolicy(resources state.State) state.FilteringRule {
	return func(ctx context.Context, access state.Access) error {
		if !access.Verb.Readonly() {
			return status.Error(codes.PermissionDenied, "write access is not allowed")
		}

		if err := checkType(ctx, resources, access.ResourceType); err != nil {
			return err
		}

		return checkNamespace(ctx, resources, access.ResourceNamespace)
	}
}

func checkType(ctx context.Context, resources state.State, resourceType resource.Type) error {
	id := resource.NewMetadata(meta.NamespaceName, meta.ResourceDefinitionType, strings.ToLower(resourceType), resource.VersionUndefined)

	definition, err := safe.StateGet[*meta.ResourceDefinition](ctx, resources, id)
	if err != nil {
		if state.IsNotFoundError(err) {
			return status.Error(codes.PermissionDenied, fmt.Sprintf("resource type %q is not supported", resourceType))
		}

		return err
	}

	if definition.TypedSpec().Sensitivity == meta.Sensitive && !authz.HasRole(ctx, role.Admin) {
		return authz.ErrNotAuthorized
	}

	return nil
}

func checkNamespace(ctx context.Context, resources state.State, namespace resource.Namespace) error {
	id := resource.NewMetadata(meta.NamespaceName, meta.NamespaceType, namespace, resource.VersionUndefined)

	if _, err := safe.StateGet[*meta.Namespace](ctx, resources, id); err != nil {
		if state.IsNotFoundError(err) {
			return status.Error(codes.PermissionDenied, fmt.Sprintf("namespace %q is not supported", namespace))
		}

		return err
	}

	return nil
}

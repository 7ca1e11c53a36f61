package calllog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"

	"firstlight.dev/lab/machines/internal/calllog"
)

// changing lists the calls that change a machine. A call that a later Talos adds must be listed
// here or among the others.
const changing = `ApplyConfiguration Bootstrap EtcdAlarmDisarm EtcdDefragment EtcdDowngradeCancel EtcdDowngradeEnable EtcdForfeitLeadership
EtcdLeaveCluster EtcdRecover EtcdRemoveMemberByID ImagePull MetaDelete MetaWrite Reboot Reset Restart Rollback ServiceRestart ServiceStart
ServiceStop Shutdown Upgrade`

func TestEveryMachineCallIsClassified(t *testing.T) {
	mutating := map[string]bool{}
	for _, name := range strings.Fields(changing) {
		mutating[name] = true
	}

	var names []string
	for _, method := range machineapi.MachineService_ServiceDesc.Methods {
		names = append(names, method.MethodName)
	}

	for _, stream := range machineapi.MachineService_ServiceDesc.Streams {
		names = append(names, stream.StreamName)
	}

	for _, name := range names {
		if got := calllog.Mutating("/machine.MachineService/" + name); got != mutating[name] {
			t.Errorf("%s: mutating is %t, want %t", name, got, mutating[name])
		}
	}
}

func TestOtherServicesAreMutatingUnlessKnown(t *testing.T) {
	for method, want := range map[string]bool{
		"/cosi.resource.State/Get":                 false,
		"/cosi.resource.State/Update":              true,
		"/time.TimeService/Time":                   false,
		"/cluster.ClusterService/HealthCheck":      false,
		"/storage.StorageService/BlockDeviceWipe":  true,
		"/some.later.Service/ThatNobodyKnowsOfYet": true,
	} {
		if got := calllog.Mutating(method); got != want {
			t.Errorf("%s: got %t, want %t", method, got, want)
		}
	}
}

func TestCallsFromBeforeARestartAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "talos-calls.jsonl")

	for _, node := range []string{"cp-1", "cp-2"} {
		log, err := calllog.Open(path)
		if err != nil {
			t.Fatal(err)
		}

		call := calllog.Call{Time: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC), Node: node, Method: "/m", Code: "OK"}
		if err := log.Append(call); err != nil {
			t.Fatal(err)
		}

		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}

	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	want := `{"time":"2026-11-23T08:00:00Z","node":"cp-1","endpoint":"","method":"/m","mutating":false,"code":"OK","desc":""}
{"time":"2026-11-23T08:00:00Z","node":"cp-2","endpoint":"","method":"/m","mutating":false,"code":"OK","desc":""}
`
	if string(raw) != want {
		t.Errorf("got %s", raw)
	}
}

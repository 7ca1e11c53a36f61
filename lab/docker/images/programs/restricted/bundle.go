package restricted

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// Permit edits the file that a runc command reads, a bundle's config.json or the process of an exec, so that it starts
// on a restricted host.
func Permit(arguments []string) error {
	if bundle := value(arguments, "--bundle", "-b"); bundle != "" {
		err := edit(filepath.Join(bundle, "config.json"), func(config map[string]any) {
			if process, ok := config["process"].(map[string]any); ok {
				permit(process)
			}
		})
		if err != nil {
			return err
		}
	}
	if file := value(arguments, "--process", "-p"); file != "" {
		return edit(file, permit)
	}
	return nil
}

// permit removes what the host refuses: the capability, limits above its own, and an oom score below its own.
func permit(process map[string]any) {
	delete(process, "rlimits")
	if score, ok := process["oomScoreAdj"].(float64); ok && score < 0 {
		delete(process, "oomScoreAdj")
	}
	capabilities, _ := process["capabilities"].(map[string]any)
	for kind, names := range capabilities {
		kept := []any{}
		list, _ := names.([]any)
		for _, name := range list {
			if name != Capability {
				kept = append(kept, name)
			}
		}
		capabilities[kind] = kept
	}
}

func edit(file string, change func(map[string]any)) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	content := map[string]any{}
	if err := json.Unmarshal(text, &content); err != nil {
		return err
	}
	change(content)
	text, err = json.Marshal(content)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// value returns the value of a flag, in either of the two forms that runc accepts.
func value(arguments []string, names ...string) string {
	for index, word := range arguments {
		for _, name := range names {
			if word == name && index+1 < len(arguments) {
				return arguments[index+1]
			}
			if rest, found := strings.CutPrefix(word, name+"="); found {
				return rest
			}
		}
	}
	return ""
}

//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// otherUser names the variable in which a process that plays another user is told the agent's URL.
const otherUser = "HUISCLOS_E2E_OTHER_USER"

func init() {
	if url := os.Getenv(otherUser); url != "" {
		fmt.Println(strings.Join(loots(url), "\n"))
		os.Exit(0)
	}
}

// loots tries the port of an agent, without its token and with it, and returns what it got.
func loots(url string) (got []string) {
	origin, token, _ := strings.Cut(strings.Replace(url, "/#", "#", 1), "#")
	client := &http.Client{Timeout: 5 * time.Second}
	try := func(name, method, path, body string) {
		r, err := http.NewRequest(method, origin+path, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Origin", origin)
		r.Header.Set("Content-Type", "application/json")
		if answer, err := client.Do(r); err == nil {
			raw, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			got = append(got, fmt.Sprintf("%s: %d, %d bytes", name, answer.StatusCode, len(raw)))
		}
	}
	try("the page", http.MethodGet, "/", "")
	try("no token", http.MethodPost, "/session", `{}`)
	try("a wrong token", http.MethodPost, "/session", `{"token":"AAAAAAAAAAAAAAAAAAAAAAAAAA"}`)
	try("the token", http.MethodPost, "/session", `{"token":"`+token+`"}`)
	return got
}

// TestE2EOtherUser: a process of another user of this machine gets nothing from the agent's port, not even by its token,
// which still works for the person themselves: the twin, which gets the page and a session by the same attempts.
func TestE2EOtherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to run a process of another user")
	}
	t.Parallel()
	alice := &person{T: t, name: "Alice"}
	alice.start("-language", "en")
	attempt := func(uid uint32) string {
		c := exec.Command("/proc/self/exe")
		c.Env = []string{otherUser + "=" + alice.agent.URL}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := c.CombinedOutput()
		alice.must(err)
		return strings.TrimSpace(string(out))
	}
	const nobody = 65534
	if got := attempt(nobody); got != "" {
		t.Errorf("another user got %s", got)
	}
	if got := attempt(0); !strings.Contains(got, "the page: 200") || !strings.Contains(got, "no token: 4") || !strings.Contains(got, "the token: 200") {
		t.Errorf("the person got %s", got)
	}
}

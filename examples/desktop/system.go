package main

import (
	"context"
	"errors"

	"github.com/huisclos/huisclos/examples/desktop/internal/linkhandler"
)

func init() {
	add("link-handler", on((*agent).setLinkHandler))
}

// setLinkHandler has the system open links with this program, or no more.
func (a *agent) setLinkHandler(_ context.Context, r linkHandler) (any, error) {
	change := linkhandler.Unregister
	if r.On {
		change = linkhandler.Register
	}
	err := change()
	a.update(func(s *state) { s.App.LinkHandler = linkhandler.Registered() }, "app")
	switch {
	case errors.Is(err, linkhandler.ErrUnavailable):
		return nil, fail(unavailable)
	case err != nil:
		return nil, &codeError{failure{Code: storeWrite, Detail: "the system refused"}}
	}
	return nil, nil
}

// openAgain is what a second start of the program comes to: its link is shown, and its browser opens the page anew.
func (a *agent) openAgain(link string) string {
	if link != "" {
		a.mu.Lock()
		a.state.Link = link
		a.changed("link")
		a.sendLocked(linkEvent{"link", link})
		a.mu.Unlock()
	}
	return a.port.LaunchURL()
}

package meet

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Who is denied as busy knocks again (DOR-14): where a link was sent to many who come at the hour, all of them get in, at
// the rate of the door (DOR-7).
const (
	knockRounds    = 12
	knockAgain     = 5 * time.Second // and up to twice as long, by chance
	knockAgainMost = 30 * time.Second
)

// patiently knocks, and again while the door is busy. Its user sees that it waits.
func (g *guest) patiently(ctx context.Context, knock func() error) error {
	for round, pause := 1, knockAgain; ; round++ {
		err := knock()
		denied := new(DeniedError)
		if !errors.As(err, &denied) || !g.crowded || round == knockRounds || g.config.hooks.knockOnce {
			return err
		}
		g.wait()
		select {
		case <-time.After(pause + rand.N(pause)): // else those who came together come together again
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(pause*3/2, knockAgainMost)
	}
}

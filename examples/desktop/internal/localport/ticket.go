package localport

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ticket is a right to upload or download one thing, once.
type ticket struct {
	ends time.Time

	take func(ctx context.Context, body io.Reader) error // of an upload
	size int64                                           // exactly, or at most if max
	max  bool

	off context.Context // of an upload, nil for none: it can't be used once this is done

	give func(ctx context.Context, w io.Writer) error // of a download; size -1 if it isn't known
	name string
	mime string
}

// Upload describes what a page is to upload.
type Upload struct {
	// Size is how many bytes it has, exactly; or at most, with AtMost.
	Size int64
	// AtMost makes Size a limit.
	AtMost bool
	// While, if it isn't nil, is until when it is wanted.
	While context.Context
	// Take reads it. Reading fails when nothing came for Config.UploadWait. An error that has a method Answer() any answers with that, as JSON; any other is status 500.
	Take func(ctx context.Context, body io.Reader) error
}

// Download describes what a page may download.
type Download struct {
	// Name is the file's name.
	Name string
	// Type is its MIME type. The browser saves it in any case. Empty is application/octet-stream.
	Type string
	// Size is how many bytes it has, -1 if that isn't known.
	Size int64
	// Give writes it.
	Give func(ctx context.Context, w io.Writer) error
}

// good reports whether it can still be used.
func (t *ticket) good(now time.Time) bool {
	return now.Before(t.ends) && (t.off == nil || t.off.Err() == nil)
}

var errTooManyTickets = errors.New("too many uploads and downloads wait")

// NewUpload returns the path where a page may upload something, once.
func (s *Server) NewUpload(u Upload) (string, error) {
	id, err := s.newTicket(&ticket{take: u.Take, size: u.Size, max: u.AtMost, off: u.While}, UploadLife)
	return "/upload/" + id, err
}

// NewDownload returns the path where a page may download something, once.
func (s *Server) NewDownload(d Download) (string, error) {
	id, err := s.newTicket(&ticket{give: d.Give, name: d.Name, mime: d.Type, size: d.Size}, TicketLife)
	return "/download/" + id, err
}

func (s *Server) newTicket(t *ticket, life time.Duration) (string, error) {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	for id, t := range s.tickets {
		if !t.good(now) {
			delete(s.tickets, id)
		}
	}
	if len(s.tickets) >= maxTickets {
		return "", errTooManyTickets
	}
	t.ends = now.Add(life)
	s.tickets[id] = t
	return id, nil
}

// redeem takes a ticket off the list.
func (s *Server) redeem(r *http.Request, upload bool) *ticket {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PathValue("ticket")
	t := s.tickets[id]
	if t == nil || (t.take != nil) != upload || !t.good(s.config.Now()) {
		return nil
	}
	if !s.config.off.single {
		delete(s.tickets, id)
	}
	return t
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !s.known(key) {
		refuse(w, http.StatusUnauthorized)
		return
	}
	t := s.redeem(r, true)
	if t == nil {
		refuse(w, http.StatusNotFound)
		return
	}
	if r.ContentLength > t.size || !t.max && r.ContentLength >= 0 && r.ContentLength != t.size {
		refuse(w, http.StatusRequestEntityTooLarge)
		_ = t.take(r.Context(), brokenReader{})
		return
	}
	body := &patientReader{http.MaxBytesReader(w, r.Body, t.size), http.NewResponseController(w), s.config.UploadWait}
	err := t.take(r.Context(), body)
	var answer interface{ Answer() any }
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.As(err, &answer):
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(answer.Answer())
	default:
		refuse(w, http.StatusInternalServerError)
	}
}

// patientReader reads a body as long as something of it comes in time.
type patientReader struct {
	io.Reader
	connection *http.ResponseController
	wait       time.Duration
}

// Read fails with os.ErrDeadlineExceeded when nothing came in time.
func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.connection.SetReadDeadline(time.Now().Add(p.wait))
	n, err := p.Reader.Read(b)
	if errors.Is(err, io.EOF) {
		_ = p.connection.SetReadDeadline(time.Time{}) // the taker may take its time
	}
	return n, err
}

// brokenReader is the body of an upload that is refused before it is read, so that its taker learns of it.
type brokenReader struct{}

// Read fails.
func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	t := s.redeem(r, false)
	if t == nil {
		refuse(w, http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	if t.mime != "" {
		h.Set("Content-Type", t.mime)
	}
	h.Set("Content-Disposition", attachment(t.name))
	if t.size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(t.size, 10))
	}
	if err := t.give(r.Context(), w); err != nil {
		panic(http.ErrAbortHandler) // so that the browser doesn't take what came for the whole
	}
}

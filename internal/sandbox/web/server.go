package web

import (
	"context"
	"net/http"

	"github.com/atlas-integration-bot/atlas-integration-bot/internal/sandbox"
)

type Page struct{ s *sandbox.Sandbox }

func New(_ context.Context, s *sandbox.Sandbox, public bool) *Page { return &Page{s} }
func (p *Page) Close()                                              {}
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request)    {}

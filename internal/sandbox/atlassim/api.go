package atlassim

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	apiRoot = "/api/atlas/v2"

	// version is the only one in which these operations exist.
	version = "2023-01-01"

	// maxBody is far more than any integration needs.
	maxBody = 1 << 20
)

// An exchange is one request on its way through the stand-in.
type exchange struct {
	r      *http.Request
	route  route
	body   []byte
	header http.Header // of the answer, whatever it will be
	query  query
	fault  *Planned // what goes wrong with it, if anything
	hit    bool     // and has taken effect
	call   Call
}

// An answer is what goes back.
type answer struct {
	status int // 0: none, the connection is cut
	code   string
	header http.Header
	body   []byte
}

// A route is what a path means.
type route struct {
	path  string
	op    operation
	group string
	typ   string
}

type operation int

const (
	unknownOperation operation = iota
	tokens
	listGroups
	oneGroup
	listIntegrations
	oneIntegration
	listKeys // for owners only
)

func (r *route) integrations() bool { return r.op == listIntegrations || r.op == oneIntegration }

func parseRoute(r *http.Request) route {
	p := route{path: r.URL.Path}
	if p.path == TokenPath || p.path == RevokePath {
		p.op = tokens
		return p
	}
	// The escaped path: an escaped slash is no separator.
	rest, below := strings.CutPrefix(r.URL.EscapedPath(), apiRoot+"/")
	if !below {
		return p
	}
	parts := strings.Split(rest, "/")
	for i := range parts {
		parts[i], _ = url.PathUnescape(parts[i]) // net/http has parsed it before
	}
	if len(parts) == 3 && parts[0] == "groups" && parts[2] == "apiKeys" {
		p.op, p.group = listKeys, parts[1]
		return p
	}
	if len(parts) > 4 || parts[0] != "groups" || (len(parts) > 2 && parts[2] != "integrations") {
		return p
	}
	p.op = []operation{listGroups, oneGroup, listIntegrations, oneIntegration}[len(parts)-1]
	if len(parts) > 1 {
		p.group = parts[1]
	}
	if len(parts) > 3 {
		p.typ = parts[3]
	}
	return p
}

// answer finds the answer to a request, faults included. It may change the world.
func (s *Server) answer(x *exchange) *answer {
	if !s.knownHost(x.r.Host) {
		return &answer{status: http.StatusMisdirectedRequest}
	}
	var err error
	if x.body, err = io.ReadAll(http.MaxBytesReader(nil, x.r.Body, maxBody)); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return &answer{status: http.StatusRequestEntityTooLarge}
		}
		return &answer{} // the client is gone
	}
	if x.route.op == tokens {
		return s.withFault(x, false, func() *answer { return s.oauth(x) })
	}
	return s.withFault(x, true, func() *answer {
		if a := s.authenticate(x); a != nil {
			return a
		}
		if e := s.limit(x); e != nil {
			return e.answer()
		}
		s.noteBody(x)
		return s.withFault(x, false, func() *answer {
			a, e := s.carryOut(x)
			if e != nil {
				return e.answer()
			}
			return a
		})
	})
}

// carryOut does what an authenticated request asks for.
func (s *Server) carryOut(x *exchange) (*answer, *apiError) {
	if e := checkVersion(x.r.Header.Get("Accept")); e != nil {
		return nil, e
	}
	if x.route.op == unknownOperation {
		return nil, refuse(http.StatusNotFound, "RESOURCE_NOT_FOUND", "Cannot find resource "+x.route.path+".", x.route.path)
	}
	if e := x.checkMethod(); e != nil {
		return nil, e
	}
	var e *apiError
	if x.query, e = parseQuery(x); e != nil {
		return nil, e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.route.op == listGroups {
		return s.listGroups(x), nil
	}
	p, e := s.enterProject(x)
	if e != nil {
		return nil, e
	}
	switch {
	case x.route.op == oneGroup:
		return x.one(s.showProject(p)), nil
	case x.route.op == listIntegrations:
		return s.listIntegrations(x, p, p.integrations), nil
	case x.route.op == listKeys:
		return x.page(nil), nil
	case x.r.Method == http.MethodGet:
		return s.getIntegration(x, p)
	}
	return s.changeIntegration(x, p)
}

// checkVersion takes the one version there is. Later dates are versions of the API
// too, but not of this resource; what was before the first is gone.
func checkVersion(accept string) *apiError {
	notAcceptable := &apiError{status: http.StatusNotAcceptable}
	media, _, err := mime.ParseMediaType(accept)
	if err != nil {
		return notAcceptable
	}
	date, versioned := versionOf(media)
	switch day, err := time.Parse(time.DateOnly, date); {
	case !versioned:
		return notAcceptable
	case err != nil:
		return badRequest("INVALID_VERSION_DATE", "Invalid version date "+date+".", date)
	case date == version:
		return nil
	case day.Before(time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)):
		return refuse(http.StatusGone, "VERSION_GONE", "The version "+date+" is gone.", date)
	}
	return notAcceptable
}

func versionOf(media string) (date string, versioned bool) {
	date, vendor := strings.CutPrefix(media, "application/vnd.atlas.")
	date, asJSON := strings.CutSuffix(date, "+json")
	return date, vendor && asJSON
}

// checkContentType takes the version of the resource, and JSON without one.
func checkContentType(contentType string) *apiError {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return &apiError{status: http.StatusUnsupportedMediaType}
	}
	date, versioned := versionOf(media)
	_, err = time.Parse(time.DateOnly, date)
	switch {
	case media == "application/json", versioned && date == version:
		return nil
	case versioned && err != nil:
		return badRequest("INVALID_VERSION_DATE", "Invalid version date "+date+".", date)
	}
	return &apiError{status: http.StatusUnsupportedMediaType}
}

func (x *exchange) checkMethod() *apiError {
	allowed := []string{http.MethodGet}
	if x.route.op == oneIntegration {
		allowed = append(allowed, http.MethodPost, http.MethodPut, http.MethodDelete)
	}
	if slices.Contains(allowed, x.r.Method) {
		return nil
	}
	x.header.Set("Allow", strings.Join(allowed, ", "))
	return refuse(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "The method "+x.r.Method+" is not allowed.", x.r.Method)
}

// query is what a caller wants to see of an answer.
type query struct {
	envelope, pretty, includeCount bool
	perPage, page                  int
}

func parseQuery(x *exchange) (query, *apiError) {
	q := query{includeCount: true, perPage: 100, page: 1}
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return q, badRequest("INVALID_QUERY_PARAMETER", "The query is malformed.")
	}
	paged := x.route.op == listGroups || x.route.op == listIntegrations || x.route.op == listKeys ||
		x.r.Method == http.MethodPut || x.r.Method == http.MethodPost
	for name, given := range values {
		value, ok := given[len(given)-1], false
		switch {
		case name == "envelope":
			q.envelope, ok = parseBool(value)
		case name == "pretty":
			q.pretty, ok = parseBool(value)
		case name == "includeCount" && paged:
			q.includeCount, ok = parseBool(value)
		case name == "itemsPerPage" && paged:
			q.perPage, ok = parseInt(value, 500)
		case name == "pageNum" && paged:
			q.page, ok = parseInt(value, math.MaxInt32)
		}
		if !ok {
			return q, badRequest("INVALID_QUERY_PARAMETER", "Invalid query parameter "+name+" specified.", name)
		}
	}
	return q, nil
}

func parseBool(s string) (v, ok bool) { return s == "true", s == "true" || s == "false" }

func parseInt(s string, most int) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 1 && n <= most
}

var objectID = regexp.MustCompile(`^[a-f0-9]{24}$`)

// enterProject finds the project of the path and checks the role in it. A missing
// role answers 401, as Atlas does, although the login was fine.
func (s *Server) enterProject(x *exchange) (*project, *apiError) {
	id := x.route.group
	if !objectID.MatchString(id) {
		return nil, badRequest("INVALID_PATH_PARAMETER", "Invalid path parameter groupId specified.", "groupId")
	}
	p := s.projects[id]
	switch {
	case p == nil:
		return nil, refuse(http.StatusNotFound, "GROUP_NOT_FOUND", "No group with ID "+id+" exists.", id)
	case p.role == RoleNone:
		return nil, refuse(http.StatusUnauthorized, "NOT_IN_GROUP",
			"The current user is not in the group, or the group does not exist.")
	case (x.r.Method != http.MethodGet || x.route.op == listKeys) && p.role != RoleOwner:
		return nil, refuse(http.StatusUnauthorized, "USER_UNAUTHORIZED",
			"The current user is not authorized to perform this action.")
	}
	if t := x.route.typ; x.route.op == oneIntegration && types[t] == nil && t != hipChat {
		return nil, badRequest("INVALID_PATH_PARAMETER", "Invalid path parameter integrationType specified.", "integrationType")
	}
	return p, nil
}

func (s *Server) listGroups(x *exchange) *answer {
	var visible []*project
	for _, p := range s.projects {
		if p.role != RoleNone {
			visible = append(visible, p)
		}
	}
	slices.SortFunc(visible, func(a, b *project) int { return cmp.Compare(a.id, b.id) })
	shown := make([]any, len(visible))
	for i, p := range visible {
		shown[i] = s.showProject(p)
	}
	return x.page(shown)
}

func (s *Server) showProject(p *project) map[string]any {
	self := s.url + apiRoot + "/groups/" + p.id
	return map[string]any{
		"clusterCount": 1,
		"created":      p.created.Format(time.RFC3339),
		"id":           p.id,
		"links":        []any{link(self, "self")},
		"name":         p.name,
		"orgId":        orgID,
		"tags":         []any{},
	}
}

// listIntegrations shows the integrations in the order of the server: neither that of
// their creation nor the changed one first, and another one in every project.
func (s *Server) listIntegrations(x *exchange, p *project, held map[string]*integration) *answer {
	var entries []any
	for _, in := range inServerOrder(p, held) {
		if s.quirks.NullEntries {
			entries = append(entries, nil)
		}
		entries = append(entries, s.quirks.show(in))
	}
	if s.quirks.UnknownTypes {
		entries = append(entries, map[string]any{
			"id": objectIDOf("unknown", p.id), "type": "CARRIER_PIGEON", "apiKey": []any{1, 2, 3},
			"loft": map[string]any{"region": false, "birds": nil},
		})
	}
	return x.page(entries)
}

func (s *Server) getIntegration(x *exchange, p *project) (*answer, *apiError) {
	in := p.integrations[x.route.typ]
	if in == nil {
		return nil, notConfigured(x.route.typ)
	}
	return x.one(s.quirks.show(in)), nil
}

func notConfigured(typ string) *apiError {
	return refuse(http.StatusNotFound, "INTEGRATION_NOT_CONFIGURED",
		"The integration of type '"+typ+"' is not configured for this group.", typ)
}

// changeIntegration is PUT, POST and DELETE.
func (s *Server) changeIntegration(x *exchange, p *project) (*answer, *apiError) {
	if s.maintenance {
		return nil, refuse(http.StatusMethodNotAllowed, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES",
			"Writes are not allowed while the application is upgraded. Try again later.")
	}
	typ, old := x.route.typ, p.integrations[x.route.typ]
	if x.r.Method == http.MethodDelete {
		if old == nil {
			return nil, notConfigured(typ)
		}
		s.store(x, p, nil)
		return &answer{status: http.StatusNoContent, header: http.Header{}}, nil
	}
	if e := checkContentType(x.r.Header.Get("Content-Type")); e != nil {
		return nil, e
	}
	settings, e := settingsFrom(x.body, typ)
	switch {
	case e != nil:
		return nil, e
	case x.r.Method == http.MethodPost && old != nil:
		return nil, refuse(http.StatusConflict, "INTEGRATION_ALREADY_CONFIGURED",
			"The integration of type '"+typ+"' is already configured for this group.", typ)
	case x.r.Method == http.MethodPut && old == nil && s.quirks.PutRefusesMissing:
		return nil, notConfigured(typ)
	}
	if typ == "SLACK" {
		if e := p.checkSlack(old, settings); e != nil {
			return nil, e
		}
	}
	if s.quirks.PutMerges && old != nil {
		for name, v := range old.settings {
			if _, sent := settings[name]; !sent {
				settings[name] = v
			}
		}
	}
	fill(typ, settings)
	before := p.snapshot()
	s.store(x, p, settings)
	held := p.integrations
	if x.fault != nil && x.fault.fault.Kind == StaleAnswer {
		held = before
	}
	return s.listIntegrations(x, p, held), nil
}

// one is the answer with one object.
func (x *exchange) one(body map[string]any) *answer {
	if x.query.envelope {
		body = map[string]any{"status": http.StatusOK, "content": body}
	}
	return x.ok(body)
}

// page is the answer with one page of a list.
func (x *exchange) page(all []any) *answer {
	q := x.query
	from := min((q.page-1)*q.perPage, len(all))
	to := min(from+q.perPage, len(all))
	href := func(page int) string {
		return fmt.Sprintf("http://%s%s?includeCount=%t&itemsPerPage=%d&pageNum=%d",
			x.r.Host, x.r.URL.EscapedPath(), q.includeCount, q.perPage, page)
	}
	links := []any{link(href(q.page), "self")}
	if q.page > 1 {
		links = append(links, link(href(q.page-1), "previous"))
	}
	if to < len(all) {
		links = append(links, link(href(q.page+1), "next"))
	}
	results := all[from:to]
	if results == nil {
		results = []any{}
	}
	body := map[string]any{"links": links, "results": results}
	if q.includeCount {
		body["totalCount"] = len(all)
	}
	if q.envelope {
		body["status"] = http.StatusOK
	}
	return x.ok(body)
}

func link(href, rel string) map[string]any { return map[string]any{"href": href, "rel": rel} }

func (x *exchange) ok(body map[string]any) *answer {
	a := &answer{status: http.StatusOK, header: http.Header{}, body: encode(body, x.query.pretty)}
	a.header.Set("Content-Type", "application/vnd.atlas."+version+"+json;charset=utf-8")
	return a
}

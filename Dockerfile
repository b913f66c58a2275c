# The image of the bot: one static binary, no shell, no package manager, not root.
#
#   docker build --build-arg VERSION=v1.2.3 --build-arg REVISION="$(git rev-parse HEAD)" -t atlas-integration-bot .
#
# The binary is the same on every machine that builds it from the same commit with the same Go. For layers that are the
# same too, build with SOURCE_DATE_EPOCH set and --output type=image,rewrite-timestamp=true.

# Go cross-compiles, so the build runs on the platform of the builder whatever the image is for.
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
# The Go of the image, and no other: it is the one that go.mod names, with which archives are built as well.
ENV CGO_ENABLED=0 GOFLAGS=-mod=readonly GOTOOLCHAIN=local GOCACHE=/cache/build GOMODCACHE=/cache/modules
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/cache/modules go mod download
COPY cmd/bot cmd/bot
COPY internal internal
ARG TARGETOS TARGETARCH
# What `bot version` and the metrics say. .git is no part of the build, so Go cannot find out by itself.
ARG VERSION=
RUN --mount=type=cache,target=/cache/modules --mount=type=cache,target=/cache/build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags="-s -w -buildid= -X main.version=$VERSION" -o /bot ./cmd/bot

# Certificate authorities, /etc/passwd, time zones and nothing else. User 65532 is its "nonroot".
FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="atlas-integration-bot" \
      org.opencontainers.image.description="Rotates keys of MongoDB Atlas integrations from Slack, with a second approval" \
      org.opencontainers.image.source="https://github.com/atlas-integration-bot/atlas-integration-bot" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /bot /bot
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/bot"]

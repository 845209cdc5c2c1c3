# The proxy that speaks TLS before serving: Caddy, as nobody special, on a read-only file system.
#   docker build -f infra/docker/proxy.Dockerfile .
FROM caddy:2.10.2-alpine
# A copy has not the file capability (ports below 1024) with which the kernel would refuse to start it without privileges.
RUN cp /usr/bin/caddy /usr/bin/caddy.plain && mv /usr/bin/caddy.plain /usr/bin/caddy && \
    mkdir -p /data && chown -R 10001:10001 /data
COPY infra/proxy /etc/caddy
ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/tmp HOME=/tmp
USER 10001:10001
VOLUME /data
EXPOSE 8000 8001
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s \
  CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:2015/"]
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]

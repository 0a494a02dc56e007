-- The tables of 0.1.0. Development versions before it counted up to five.

CREATE TABLE version (number INTEGER NOT NULL);

CREATE TABLE event (
    id BIGINT NOT NULL,
    site_id BIGINT NOT NULL,
    occurred_at TIMESTAMP NOT NULL,
    visitor_id BIGINT NOT NULL,
    visit_id BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    hostname VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    referrer VARCHAR NOT NULL,
    utm_source VARCHAR NOT NULL,
    utm_medium VARCHAR NOT NULL,
    utm_campaign VARCHAR NOT NULL,
    utm_content VARCHAR NOT NULL,
    utm_term VARCHAR NOT NULL,
    click_id VARCHAR NOT NULL,
    country VARCHAR NOT NULL,
    region VARCHAR NOT NULL,
    city BIGINT NOT NULL,
    device VARCHAR NOT NULL,
    browser VARCHAR NOT NULL,
    browser_version VARCHAR NOT NULL,
    os VARCHAR NOT NULL,
    os_version VARCHAR NOT NULL,
    screen VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    props VARCHAR NOT NULL,
    revenue_currency VARCHAR NOT NULL,
    revenue_amount VARCHAR NOT NULL,
    engaged_ms BIGINT NOT NULL,
    scroll_depth SMALLINT NOT NULL,
    interactive BOOLEAN NOT NULL
);

-- One row for each spool, and one with the name '' that holds the last id.
CREATE TABLE progress (
    spool VARCHAR PRIMARY KEY,
    position BIGINT NOT NULL
);

CREATE TABLE refusal (
    site_id BIGINT,
    hour TIMESTAMP,
    reason VARCHAR,
    detail VARCHAR,
    count BIGINT NOT NULL,
    PRIMARY KEY (site_id, hour, reason, detail)
);

-- Folded visits, derived from the events, and how far they are.
CREATE TABLE visit (
    id BIGINT NOT NULL,
    site_id BIGINT NOT NULL,
    visitor_id BIGINT NOT NULL,
    first_at TIMESTAMP NOT NULL,
    last_at TIMESTAMP NOT NULL,
    pageviews BIGINT NOT NULL,
    events BIGINT NOT NULL,
    bounced SMALLINT NOT NULL,
    lasted_ms BIGINT NOT NULL,
    entry_page VARCHAR NOT NULL,
    exit_page VARCHAR NOT NULL,
    entry_hostname VARCHAR NOT NULL,
    exit_hostname VARCHAR NOT NULL,
    long BOOLEAN NOT NULL,
    source VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    referrer VARCHAR NOT NULL,
    utm_source VARCHAR NOT NULL,
    utm_medium VARCHAR NOT NULL,
    utm_campaign VARCHAR NOT NULL,
    utm_content VARCHAR NOT NULL,
    utm_term VARCHAR NOT NULL,
    click_id VARCHAR NOT NULL,
    country VARCHAR NOT NULL,
    region VARCHAR NOT NULL,
    city BIGINT NOT NULL,
    device VARCHAR NOT NULL,
    browser VARCHAR NOT NULL,
    browser_version VARCHAR NOT NULL,
    os VARCHAR NOT NULL,
    os_version VARCHAR NOT NULL,
    screen VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    since TIMESTAMP,
    before TIMESTAMP,
    seen INTEGER NOT NULL,
    alone BOOLEAN NOT NULL
);

CREATE TABLE page (
    visit_id BIGINT NOT NULL,
    path VARCHAR NOT NULL,
    site_id BIGINT NOT NULL,
    visitor_id BIGINT NOT NULL,
    first_at TIMESTAMP NOT NULL,
    last_at TIMESTAMP NOT NULL,
    pageviews BIGINT NOT NULL,
    events BIGINT NOT NULL,
    since TIMESTAMP,
    again BOOLEAN NOT NULL
);

CREATE TABLE folded (last_id BIGINT NOT NULL);

INSERT INTO folded VALUES (0);

-- The tables of 0.1.0.

CREATE TABLE version (number integer NOT NULL);

-- An id is stored once even should all else fail. Partitions, one for each month, are made by the loads.
CREATE TABLE event (
    id bigint NOT NULL,
    site_id bigint NOT NULL,
    occurred_at timestamp(3) NOT NULL,
    visitor_id bigint NOT NULL,
    visit_id bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    hostname text COLLATE "C" NOT NULL,
    path text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    channel text COLLATE "C" NOT NULL,
    referrer text COLLATE "C" NOT NULL,
    utm_source text COLLATE "C" NOT NULL,
    utm_medium text COLLATE "C" NOT NULL,
    utm_campaign text COLLATE "C" NOT NULL,
    utm_content text COLLATE "C" NOT NULL,
    utm_term text COLLATE "C" NOT NULL,
    click_id text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    region text COLLATE "C" NOT NULL,
    city bigint NOT NULL,
    device text COLLATE "C" NOT NULL,
    browser text COLLATE "C" NOT NULL,
    browser_version text COLLATE "C" NOT NULL,
    os text COLLATE "C" NOT NULL,
    os_version text COLLATE "C" NOT NULL,
    screen text COLLATE "C" NOT NULL,
    language text COLLATE "C" NOT NULL,
    props text COLLATE "C" NOT NULL,
    revenue_currency text COLLATE "C" NOT NULL,
    revenue_amount text COLLATE "C" NOT NULL,
    engaged_ms bigint NOT NULL,
    scroll_depth smallint NOT NULL,
    interactive boolean NOT NULL,
    PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);

-- Every question of the dashboard.
CREATE INDEX event_site_time ON event (site_id, occurred_at);

-- Visits as a whole.
CREATE INDEX event_visit ON event (visit_id);

-- What happened lately, of all sites; tiny.
CREATE INDEX event_time ON event USING brin (occurred_at);

-- One row for each spool, and one with the name '' that holds the last id.
CREATE TABLE progress (
    spool text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL
);

CREATE TABLE refusal (
    site_id bigint,
    hour timestamp(3),
    reason text COLLATE "C",
    detail text COLLATE "C",
    count bigint NOT NULL,
    PRIMARY KEY (site_id, hour, reason, detail)
);

-- Who loaded last: one row.
CREATE TABLE loader (id uuid NOT NULL);

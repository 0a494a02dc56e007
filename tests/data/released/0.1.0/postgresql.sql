CREATE SCHEMA haru_events;
CREATE TABLE haru_events.event (
    id bigint NOT NULL,
    site_id bigint NOT NULL,
    occurred_at timestamp(3) without time zone NOT NULL,
    visitor_id bigint NOT NULL,
    visit_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    hostname text NOT NULL COLLATE pg_catalog."C",
    path text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    channel text NOT NULL COLLATE pg_catalog."C",
    referrer text NOT NULL COLLATE pg_catalog."C",
    utm_source text NOT NULL COLLATE pg_catalog."C",
    utm_medium text NOT NULL COLLATE pg_catalog."C",
    utm_campaign text NOT NULL COLLATE pg_catalog."C",
    utm_content text NOT NULL COLLATE pg_catalog."C",
    utm_term text NOT NULL COLLATE pg_catalog."C",
    click_id text NOT NULL COLLATE pg_catalog."C",
    country text NOT NULL COLLATE pg_catalog."C",
    region text NOT NULL COLLATE pg_catalog."C",
    city bigint NOT NULL,
    device text NOT NULL COLLATE pg_catalog."C",
    browser text NOT NULL COLLATE pg_catalog."C",
    browser_version text NOT NULL COLLATE pg_catalog."C",
    os text NOT NULL COLLATE pg_catalog."C",
    os_version text NOT NULL COLLATE pg_catalog."C",
    screen text NOT NULL COLLATE pg_catalog."C",
    language text NOT NULL COLLATE pg_catalog."C",
    props text NOT NULL COLLATE pg_catalog."C",
    revenue_currency text NOT NULL COLLATE pg_catalog."C",
    revenue_amount text NOT NULL COLLATE pg_catalog."C",
    engaged_ms bigint NOT NULL,
    scroll_depth smallint NOT NULL,
    interactive boolean NOT NULL
)
PARTITION BY RANGE (occurred_at);
CREATE TABLE haru_events.event_2026_05 (
    id bigint CONSTRAINT event_id_not_null NOT NULL,
    site_id bigint CONSTRAINT event_site_id_not_null NOT NULL,
    occurred_at timestamp(3) without time zone CONSTRAINT event_occurred_at_not_null NOT NULL,
    visitor_id bigint CONSTRAINT event_visitor_id_not_null NOT NULL,
    visit_id bigint CONSTRAINT event_visit_id_not_null NOT NULL,
    name text CONSTRAINT event_name_not_null NOT NULL COLLATE pg_catalog."C",
    hostname text CONSTRAINT event_hostname_not_null NOT NULL COLLATE pg_catalog."C",
    path text CONSTRAINT event_path_not_null NOT NULL COLLATE pg_catalog."C",
    source text CONSTRAINT event_source_not_null NOT NULL COLLATE pg_catalog."C",
    channel text CONSTRAINT event_channel_not_null NOT NULL COLLATE pg_catalog."C",
    referrer text CONSTRAINT event_referrer_not_null NOT NULL COLLATE pg_catalog."C",
    utm_source text CONSTRAINT event_utm_source_not_null NOT NULL COLLATE pg_catalog."C",
    utm_medium text CONSTRAINT event_utm_medium_not_null NOT NULL COLLATE pg_catalog."C",
    utm_campaign text CONSTRAINT event_utm_campaign_not_null NOT NULL COLLATE pg_catalog."C",
    utm_content text CONSTRAINT event_utm_content_not_null NOT NULL COLLATE pg_catalog."C",
    utm_term text CONSTRAINT event_utm_term_not_null NOT NULL COLLATE pg_catalog."C",
    click_id text CONSTRAINT event_click_id_not_null NOT NULL COLLATE pg_catalog."C",
    country text CONSTRAINT event_country_not_null NOT NULL COLLATE pg_catalog."C",
    region text CONSTRAINT event_region_not_null NOT NULL COLLATE pg_catalog."C",
    city bigint CONSTRAINT event_city_not_null NOT NULL,
    device text CONSTRAINT event_device_not_null NOT NULL COLLATE pg_catalog."C",
    browser text CONSTRAINT event_browser_not_null NOT NULL COLLATE pg_catalog."C",
    browser_version text CONSTRAINT event_browser_version_not_null NOT NULL COLLATE pg_catalog."C",
    os text CONSTRAINT event_os_not_null NOT NULL COLLATE pg_catalog."C",
    os_version text CONSTRAINT event_os_version_not_null NOT NULL COLLATE pg_catalog."C",
    screen text CONSTRAINT event_screen_not_null NOT NULL COLLATE pg_catalog."C",
    language text CONSTRAINT event_language_not_null NOT NULL COLLATE pg_catalog."C",
    props text CONSTRAINT event_props_not_null NOT NULL COLLATE pg_catalog."C",
    revenue_currency text CONSTRAINT event_revenue_currency_not_null NOT NULL COLLATE pg_catalog."C",
    revenue_amount text CONSTRAINT event_revenue_amount_not_null NOT NULL COLLATE pg_catalog."C",
    engaged_ms bigint CONSTRAINT event_engaged_ms_not_null NOT NULL,
    scroll_depth smallint CONSTRAINT event_scroll_depth_not_null NOT NULL,
    interactive boolean CONSTRAINT event_interactive_not_null NOT NULL
);
CREATE TABLE haru_events.event_2026_06 (
    id bigint CONSTRAINT event_id_not_null NOT NULL,
    site_id bigint CONSTRAINT event_site_id_not_null NOT NULL,
    occurred_at timestamp(3) without time zone CONSTRAINT event_occurred_at_not_null NOT NULL,
    visitor_id bigint CONSTRAINT event_visitor_id_not_null NOT NULL,
    visit_id bigint CONSTRAINT event_visit_id_not_null NOT NULL,
    name text CONSTRAINT event_name_not_null NOT NULL COLLATE pg_catalog."C",
    hostname text CONSTRAINT event_hostname_not_null NOT NULL COLLATE pg_catalog."C",
    path text CONSTRAINT event_path_not_null NOT NULL COLLATE pg_catalog."C",
    source text CONSTRAINT event_source_not_null NOT NULL COLLATE pg_catalog."C",
    channel text CONSTRAINT event_channel_not_null NOT NULL COLLATE pg_catalog."C",
    referrer text CONSTRAINT event_referrer_not_null NOT NULL COLLATE pg_catalog."C",
    utm_source text CONSTRAINT event_utm_source_not_null NOT NULL COLLATE pg_catalog."C",
    utm_medium text CONSTRAINT event_utm_medium_not_null NOT NULL COLLATE pg_catalog."C",
    utm_campaign text CONSTRAINT event_utm_campaign_not_null NOT NULL COLLATE pg_catalog."C",
    utm_content text CONSTRAINT event_utm_content_not_null NOT NULL COLLATE pg_catalog."C",
    utm_term text CONSTRAINT event_utm_term_not_null NOT NULL COLLATE pg_catalog."C",
    click_id text CONSTRAINT event_click_id_not_null NOT NULL COLLATE pg_catalog."C",
    country text CONSTRAINT event_country_not_null NOT NULL COLLATE pg_catalog."C",
    region text CONSTRAINT event_region_not_null NOT NULL COLLATE pg_catalog."C",
    city bigint CONSTRAINT event_city_not_null NOT NULL,
    device text CONSTRAINT event_device_not_null NOT NULL COLLATE pg_catalog."C",
    browser text CONSTRAINT event_browser_not_null NOT NULL COLLATE pg_catalog."C",
    browser_version text CONSTRAINT event_browser_version_not_null NOT NULL COLLATE pg_catalog."C",
    os text CONSTRAINT event_os_not_null NOT NULL COLLATE pg_catalog."C",
    os_version text CONSTRAINT event_os_version_not_null NOT NULL COLLATE pg_catalog."C",
    screen text CONSTRAINT event_screen_not_null NOT NULL COLLATE pg_catalog."C",
    language text CONSTRAINT event_language_not_null NOT NULL COLLATE pg_catalog."C",
    props text CONSTRAINT event_props_not_null NOT NULL COLLATE pg_catalog."C",
    revenue_currency text CONSTRAINT event_revenue_currency_not_null NOT NULL COLLATE pg_catalog."C",
    revenue_amount text CONSTRAINT event_revenue_amount_not_null NOT NULL COLLATE pg_catalog."C",
    engaged_ms bigint CONSTRAINT event_engaged_ms_not_null NOT NULL,
    scroll_depth smallint CONSTRAINT event_scroll_depth_not_null NOT NULL,
    interactive boolean CONSTRAINT event_interactive_not_null NOT NULL
);
CREATE TABLE haru_events.loader (
    id uuid NOT NULL
);
CREATE TABLE haru_events.progress (
    spool text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL
);
CREATE TABLE haru_events.refusal (
    site_id bigint NOT NULL,
    hour timestamp(3) without time zone NOT NULL,
    reason text NOT NULL COLLATE pg_catalog."C",
    detail text NOT NULL COLLATE pg_catalog."C",
    count bigint NOT NULL
);
CREATE TABLE haru_events.version (
    number integer NOT NULL
);
ALTER TABLE ONLY haru_events.event ATTACH PARTITION haru_events.event_2026_05 FOR VALUES FROM ('2026-05-01 00:00:00') TO ('2026-06-01 00:00:00');
ALTER TABLE ONLY haru_events.event ATTACH PARTITION haru_events.event_2026_06 FOR VALUES FROM ('2026-06-01 00:00:00') TO ('2026-07-01 00:00:00');
INSERT INTO haru_events.event_2026_05 VALUES
	(1, 1, '2026-05-20 12:00:00', -7001, 1, 'pageview', 'example.com', '/', 'Google', 'Organic Search', 'google.com', '', '', '', '', '', '', 'DE', 'DE-BE', 2950159, 'Mobile', 'Firefox', '140', 'Android', '15', '412x915', 'de', '{}', '', '', 0, -1, true),
	(2, 1, '2026-05-20 12:02:00', -7001, 1, 'pageview', 'example.com', '/pricing', 'Google', 'Organic Search', 'google.com', '', '', '', '', '', '', 'DE', 'DE-BE', 2950159, 'Mobile', 'Firefox', '140', 'Android', '15', '412x915', 'de', '{}', '', '', 0, -1, true),
	(3, 1, '2026-05-20 12:03:00', -7001, 1, 'signup', 'example.com', '/pricing', 'Google', 'Organic Search', 'google.com', '', '', '', '', '', '', 'DE', 'DE-BE', 2950159, 'Mobile', 'Firefox', '140', 'Android', '15', '412x915', 'de', '{}', '', '', 0, -1, true),
	(4, 1, '2026-05-20 12:04:00', -7001, 1, 'engagement', 'example.com', '/pricing', 'Google', 'Organic Search', 'google.com', '', '', '', '', '', '', 'DE', 'DE-BE', 2950159, 'Mobile', 'Firefox', '140', 'Android', '15', '412x915', 'de', '{}', '', '', 0, -1, true),
	(11, 1, '2026-05-20 13:00:00', 9000000000000000001, 11, 'pageview', 'example.com', '/blog/ü😀', 'news', 'Email', '', 'news', 'email', 'spring "sale"', 'a;b', 'it''s', 'gclid', 'FR', '', 0, '', 'Chrome', '', 'macOS', '', '', 'fr', '{}', '', '', 0, -1, true),
	(21, 1, '2026-05-20 14:00:00', 42, 21, 'purchase', 'example.com', '/shop', '', '', '', '', '', '', '', '', '', '', '', 0, '', '', '', '', '', '', '', '{"Größe":"M","plan":"a;\n''b''"}', 'EUR', '19.99', 0, -1, true),
	(22, 1, '2026-05-20 14:01:00', 42, 21, 'engagement', 'example.com', '/shop', '', '', '', '', '', '', '', '', '', '', '', 0, '', '', '', '', '', '', '', '{}', '', '', 15250, 80, true),
	(23, 1, '2026-05-20 14:02:00', 42, 21, 'ping', 'example.com', '/shop', '', '', '', '', '', '', '', '', '', '', '', 0, '', '', '', '', '', '', '', '{}', '', '', 0, -1, false),
	(31, 1, '2026-05-20 17:00:00', -7001, 31, 'pageview', 'example.com', '/pricing', '', '', 'google.com', '', '', '', '', '', '', 'DE', 'DE-BE', 2950159, 'Mobile', 'Firefox', '140', 'Android', '15', '412x915', 'de', '{}', '', '', 0, -1, true),
	(32, 1, '2026-05-20 17:01:00', -7001, 31, 'pageview', 'example.com', '/', '', '', 'google.com', '', '', '', '', '', '', 'DE', 'DE-BE', 2950159, 'Mobile', 'Firefox', '140', 'Android', '15', '412x915', 'de', '{}', '', '', 0, -1, true),
	(41, 2, '2026-05-20 12:00:00', 42, 41, 'pageview', 'other.example', '/other', '', '', '', '', '', '', '', '', '', '', '', 0, '', '', '', '', '', '', '', '{}', '', '', 0, -1, true),
	(42, 2, '2026-05-20 12:29:00', 42, 41, 'pageview', 'other.example', '/other/late', '', '', '', '', '', '', '', '', '', '', '', 0, '', '', '', '', '', '', '', '{}', '', '', 0, -1, true);
INSERT INTO haru_events.event_2026_06 VALUES
	(101, 1, '2026-06-02 09:30:00', 501, 101, 'pageview', 'example.com', '/', 'Google', 'Organic Search', 'google.com', '', '', '', '', '', '', 'DE', 'DE-BE', 2950159, 'Mobile', 'Firefox', '140', 'Android', '15', '412x915', 'de', '{}', '', '', 0, -1, true),
	(102, 1, '2026-06-02 09:31:00', 501, 101, 'pageview', 'example.com', '/docs', 'Google', 'Organic Search', 'google.com', '', '', '', '', '', '', 'DE', 'DE-BE', 2950159, 'Mobile', 'Firefox', '140', 'Android', '15', '412x915', 'de', '{}', '', '', 0, -1, true),
	(111, 1, '2026-06-03 09:30:00', 502, 111, 'pageview', 'example.com', '/docs', 'news', 'Email', '', 'news', 'email', 'spring "sale"', 'a;b', 'it''s', 'gclid', 'FR', '', 0, '', 'Chrome', '', 'macOS', '', '', 'fr', '{}', '', '', 0, -1, true),
	(121, 2, '2026-06-03 09:31:00', 503, 121, 'pageview', 'other.example', '/other', '', '', '', '', '', '', '', '', '', '', '', 0, '', '', '', '', '', '', '', '{}', '', '', 0, -1, true);
INSERT INTO haru_events.loader VALUES
	('edb17692-370f-4546-ad13-10d5cb96ad75');
INSERT INTO haru_events.progress VALUES
	('', 121),
	('0A1B2C3D4E5F6071', 9),
	('it''s', 4);
INSERT INTO haru_events.refusal VALUES
	(1, '2026-05-20 12:00:00', 'bot', 'GPTBot', 3),
	(1, '2026-06-02 09:30:00', 'excluded_page', '', 1),
	(2, '2026-05-20 12:00:00', 'bot', 'it''s; ü', 2),
	(0, '2026-05-20 12:00:00', 'unknown_site', '', 7);
INSERT INTO haru_events.version VALUES
	(1);
ALTER TABLE ONLY haru_events.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (id, occurred_at);
ALTER TABLE ONLY haru_events.event_2026_05
    ADD CONSTRAINT event_2026_05_pkey PRIMARY KEY (id, occurred_at);
ALTER TABLE ONLY haru_events.event_2026_06
    ADD CONSTRAINT event_2026_06_pkey PRIMARY KEY (id, occurred_at);
ALTER TABLE ONLY haru_events.progress
    ADD CONSTRAINT progress_pkey PRIMARY KEY (spool);
ALTER TABLE ONLY haru_events.refusal
    ADD CONSTRAINT refusal_pkey PRIMARY KEY (site_id, hour, reason, detail);
CREATE INDEX event_time ON ONLY haru_events.event USING brin (occurred_at);
CREATE INDEX event_2026_05_occurred_at_idx ON haru_events.event_2026_05 USING brin (occurred_at);
CREATE INDEX event_site_time ON ONLY haru_events.event USING btree (site_id, occurred_at);
CREATE INDEX event_2026_05_site_id_occurred_at_idx ON haru_events.event_2026_05 USING btree (site_id, occurred_at);
CREATE INDEX event_visit ON ONLY haru_events.event USING btree (visit_id);
CREATE INDEX event_2026_05_visit_id_idx ON haru_events.event_2026_05 USING btree (visit_id);
CREATE INDEX event_2026_06_occurred_at_idx ON haru_events.event_2026_06 USING brin (occurred_at);
CREATE INDEX event_2026_06_site_id_occurred_at_idx ON haru_events.event_2026_06 USING btree (site_id, occurred_at);
CREATE INDEX event_2026_06_visit_id_idx ON haru_events.event_2026_06 USING btree (visit_id);
ALTER INDEX haru_events.event_time ATTACH PARTITION haru_events.event_2026_05_occurred_at_idx;
ALTER INDEX haru_events.event_pkey ATTACH PARTITION haru_events.event_2026_05_pkey;
ALTER INDEX haru_events.event_site_time ATTACH PARTITION haru_events.event_2026_05_site_id_occurred_at_idx;
ALTER INDEX haru_events.event_visit ATTACH PARTITION haru_events.event_2026_05_visit_id_idx;
ALTER INDEX haru_events.event_time ATTACH PARTITION haru_events.event_2026_06_occurred_at_idx;
ALTER INDEX haru_events.event_pkey ATTACH PARTITION haru_events.event_2026_06_pkey;
ALTER INDEX haru_events.event_site_time ATTACH PARTITION haru_events.event_2026_06_site_id_occurred_at_idx;
ALTER INDEX haru_events.event_visit ATTACH PARTITION haru_events.event_2026_06_visit_id_idx;

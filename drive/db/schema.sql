-- What the migrations make, for reading. scripts/generate writes it.

CREATE FUNCTION public.entries_counted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    changes constant text := case tg_op
        when 'INSERT' then 'select account_id, path, is_recycled, 1 as sign from new_entries'
        when 'DELETE' then 'select account_id, path, is_recycled, -1 as sign from old_entries'
        else 'select account_id, path, is_recycled, 1 as sign from new_entries
            union all select account_id, path, is_recycled, -1 from old_entries'
    end;
begin
    execute 'insert into folder_counts (account_id, path, file_count)
        select account_id, counted.path, sum(sign)
        from (' || changes || ') as c cross join lateral (values (c.path), ('''')) as counted (path)
        where not is_recycled
        group by account_id, counted.path having sum(sign) <> 0';
    if tg_op = 'INSERT' then
        update files set is_indexed = true where id in (select file_id from new_entries) and not is_indexed;
    elsif tg_op = 'DELETE' then
        update files f set is_indexed = false
        where id in (select file_id from old_entries) and is_indexed and deleted_at is null
            and not exists (select from file_indexes i where i.file_id = f.id);
    end if;
    return null;
end
$$;

CREATE FUNCTION public.entries_show_files() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    update file_indexes i
    set file_created_at = n.created_at, file_name = n.name, file_size_bytes = n.size_bytes,
        is_recycled = n.is_marked_recycle
    from new_files n join old_files o on o.id = n.id
    where i.file_id = n.id
        and (n.created_at, n.name, n.size_bytes, n.is_marked_recycle)
            is distinct from (o.created_at, o.name, o.size_bytes, o.is_marked_recycle);
    return null;
end
$$;

CREATE FUNCTION public.entry_shows_file() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    select created_at, name, size_bytes, is_marked_recycle
    into new.file_created_at, new.file_name, new.file_size_bytes, new.is_recycled
    from files where id = new.file_id;
    return new;
end
$$;

CREATE FUNCTION public.file_left_folders() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    delete from file_indexes where file_id = new.id;
    return null;
end
$$;

CREATE FUNCTION public.file_left_resources() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    delete from file_references where file_id = new.id;
    return null;
end
$$;

CREATE FUNCTION public.files_counted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    changes constant text := case tg_op
        when 'INSERT' then 'select *, 1 as sign from new_files'
        when 'DELETE' then 'select *, -1 as sign from old_files'
        else 'select *, 1 as sign from new_files union all select *, -1 from old_files'
    end;
begin
    -- Rows are locked in one order, so that two statements over the same accounts cannot wait for each other; an update
    -- that changes no total (a rename) writes nothing.
    execute 'insert into usage as u (
            account_id, pool_id, file_count, size_bytes, indexed_count,
            recycled_count, recycled_size_bytes, recycled_indexed_count
        )
        select * from (
            select
                account_id, pool_id,
                coalesce(sum(sign) filter (where not is_marked_recycle), 0) as file_count,
                coalesce(sum(sign * size_bytes) filter (where not is_marked_recycle), 0) as size_bytes,
                coalesce(sum(sign) filter (where not is_marked_recycle and is_indexed), 0) as indexed_count,
                coalesce(sum(sign) filter (where is_marked_recycle), 0) as recycled_count,
                coalesce(sum(sign * size_bytes) filter (where is_marked_recycle), 0) as recycled_size_bytes,
                coalesce(sum(sign) filter (where is_marked_recycle and is_indexed), 0) as recycled_indexed_count
            from (' || changes || ') as files_changed
            where deleted_at is null
            group by account_id, pool_id
        ) as c
        where (file_count, size_bytes, indexed_count, recycled_count, recycled_size_bytes, recycled_indexed_count)
            <> (0, 0, 0, 0, 0, 0)
        order by account_id, pool_id
        on conflict (account_id, pool_id) do update
        set file_count = u.file_count + excluded.file_count,
            size_bytes = u.size_bytes + excluded.size_bytes,
            indexed_count = u.indexed_count + excluded.indexed_count,
            recycled_count = u.recycled_count + excluded.recycled_count,
            recycled_size_bytes = u.recycled_size_bytes + excluded.recycled_size_bytes,
            recycled_indexed_count = u.recycled_indexed_count + excluded.recycled_indexed_count';
    return null;
end
$$;

CREATE TABLE public.bundles (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    passcode_hash text,
    realm_id uuid,
    expired_at timestamp with time zone,
    account_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT bundles_description_check CHECK ((char_length(description) <= 8192)),
    CONSTRAINT bundles_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 1024))),
    CONSTRAINT bundles_slug_check CHECK (((char_length(slug) >= 1) AND (char_length(slug) <= 1024))),
    CONSTRAINT bundles_slug_check1 CHECK ((octet_length(slug) <= 2048))
);

CREATE TABLE public.events (
    id bigint NOT NULL,
    subject text NOT NULL,
    message_id text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.experience_days (
    account_id uuid NOT NULL,
    day date NOT NULL,
    points integer NOT NULL,
    sent_at timestamp with time zone,
    CONSTRAINT experience_days_points_check CHECK ((points > 0))
);

CREATE TABLE public.files (
    id text NOT NULL,
    account_id uuid NOT NULL,
    object_id text,
    pool_id uuid NOT NULL,
    bundle_id uuid,
    name text NOT NULL,
    description text,
    user_meta jsonb,
    sensitive_marks integer[],
    mime_type text NOT NULL,
    size_bytes bigint NOT NULL,
    is_encrypted boolean DEFAULT false NOT NULL,
    is_marked_recycle boolean DEFAULT false NOT NULL,
    storage_url text,
    expired_at timestamp with time zone,
    uploaded_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    visibility text DEFAULT 'public'::text NOT NULL,
    realm_id uuid,
    is_indexed boolean DEFAULT false NOT NULL,
    CONSTRAINT files_check CHECK (((object_id IS NOT NULL) OR (deleted_at IS NOT NULL))),
    CONSTRAINT files_description_check CHECK ((char_length(description) <= 4096)),
    CONSTRAINT files_id_check CHECK ((id ~ '^[A-Za-z0-9_-]{1,32}$'::text)),
    CONSTRAINT files_mime_type_check CHECK ((char_length(mime_type) <= 256)),
    CONSTRAINT files_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 1024))),
    CONSTRAINT files_name_check1 CHECK ((octet_length(name) <= 2048)),
    CONSTRAINT files_realm_check CHECK (((visibility = 'realm'::text) = (realm_id IS NOT NULL))),
    CONSTRAINT files_size_bytes_check CHECK ((size_bytes >= 0)),
    CONSTRAINT files_visibility_check CHECK ((visibility = ANY (ARRAY['public'::text, 'private'::text, 'realm'::text])))
);

CREATE TABLE public.objects (
    id text NOT NULL,
    pool_id uuid NOT NULL,
    account_id uuid NOT NULL,
    sha256 bytea NOT NULL,
    size_bytes bigint NOT NULL,
    mime_type text NOT NULL,
    file_meta jsonb,
    reference_count integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    variants jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT objects_id_check CHECK ((id ~ '^[A-Za-z0-9_-]{1,32}$'::text)),
    CONSTRAINT objects_reference_count_check CHECK ((reference_count > 0)),
    CONSTRAINT objects_sha256_check CHECK ((octet_length(sha256) = 32)),
    CONSTRAINT objects_size_bytes_check CHECK ((size_bytes >= 0))
);

CREATE TABLE public.pools (
    id uuid NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    account_id uuid,
    is_hidden boolean DEFAULT false NOT NULL,
    storage_config jsonb DEFAULT '{"kind": "local"}'::jsonb NOT NULL,
    storage_secrets jsonb DEFAULT '{}'::jsonb NOT NULL,
    cost_multiplier double precision DEFAULT 1 NOT NULL,
    policy_config jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT pools_cost_multiplier_check CHECK ((cost_multiplier >= (0)::double precision)),
    CONSTRAINT pools_description_check CHECK ((char_length(description) <= 8192)),
    CONSTRAINT pools_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 1024)))
);

CREATE VIEW public.file_details AS
 SELECT f.id,
    f.account_id,
    f.object_id,
    f.pool_id,
    f.bundle_id,
    f.name,
    f.description,
    f.user_meta,
    f.sensitive_marks,
    f.mime_type,
    f.size_bytes,
    f.is_encrypted,
    f.is_marked_recycle,
    f.storage_url,
    f.expired_at,
    f.uploaded_at,
    f.created_at,
    f.updated_at,
    o.sha256,
    o.file_meta,
    (o.variants ? 'compressed'::text) AS has_compression,
    (o.variants ? 'thumbnail'::text) AS has_thumbnail,
    p.name AS pool_name,
    p.description AS pool_description,
    p.policy_config AS pool_policy_config,
    p.cost_multiplier AS pool_cost_multiplier,
    p.is_hidden AS pool_is_hidden,
    p.account_id AS pool_account_id,
    p.created_at AS pool_created_at,
    p.updated_at AS pool_updated_at,
    p.storage_config AS pool_storage_config,
    f.visibility,
    f.realm_id,
    o.variants
   FROM ((public.files f
     JOIN public.objects o ON ((o.id = f.object_id)))
     JOIN public.pools p ON ((p.id = f.pool_id)))
  WHERE (f.deleted_at IS NULL);

CREATE TABLE public.file_indexes (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    account_id uuid NOT NULL,
    path text NOT NULL,
    file_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    file_created_at timestamp with time zone NOT NULL,
    file_name text NOT NULL,
    file_size_bytes bigint NOT NULL,
    is_recycled boolean NOT NULL,
    CONSTRAINT file_indexes_path_check CHECK (((path ~ '^/'::text) AND (path ~ '/$'::text) AND (char_length(path) <= 1024) AND (octet_length(path) <= 2048)))
);

CREATE TABLE public.file_references (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    file_id text NOT NULL,
    usage text NOT NULL,
    resource_id text NOT NULL,
    expired_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT file_references_resource_id_check CHECK (((octet_length(resource_id) >= 1) AND (octet_length(resource_id) <= 1024))),
    CONSTRAINT file_references_usage_check CHECK ((octet_length(usage) <= 1024))
);

CREATE TABLE public.folder_counts (
    account_id uuid NOT NULL,
    path text NOT NULL,
    file_count bigint NOT NULL,
    is_folded boolean DEFAULT false NOT NULL
);

CREATE TABLE public.jobs (
    id bigint NOT NULL,
    kind text NOT NULL,
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    run_at timestamp with time zone DEFAULT now() NOT NULL,
    error_message text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    lane text DEFAULT 'quick'::text NOT NULL,
    claim uuid,
    locked_until timestamp with time zone,
    unique_key text,
    CONSTRAINT jobs_claim_check CHECK (((status = 'running'::text) = ((claim IS NOT NULL) AND (locked_until IS NOT NULL)))),
    CONSTRAINT jobs_lane_check CHECK ((lane = ANY (ARRAY['quick'::text, 'media'::text]))),
    CONSTRAINT jobs_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'failed'::text]))),
    CONSTRAINT jobs_unique_key_check CHECK ((octet_length(unique_key) <= 1024))
);

ALTER TABLE public.jobs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.jobs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.quota_orders (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    status text DEFAULT 'unpaid'::text NOT NULL,
    quota_mib bigint NOT NULL,
    amount numeric NOT NULL,
    currency text NOT NULL,
    payment_order_id text NOT NULL,
    transaction_id text,
    expired_at timestamp with time zone NOT NULL,
    paid_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT quota_orders_amount_check CHECK ((amount > (0)::numeric)),
    CONSTRAINT quota_orders_currency_check CHECK (((char_length(currency) >= 1) AND (char_length(currency) <= 64))),
    CONSTRAINT quota_orders_quota_mib_check CHECK ((quota_mib > 0)),
    CONSTRAINT quota_orders_status_check CHECK ((status = ANY (ARRAY['unpaid'::text, 'paying'::text, 'unconfirmed'::text, 'paid'::text, 'cancelled'::text])))
);

CREATE TABLE public.quota_records (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    account_id uuid NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    quota_mib bigint NOT NULL,
    expired_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    order_id uuid,
    CONSTRAINT quota_records_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 1024)))
);

CREATE TABLE public.schedules (
    name text NOT NULL,
    last_run_at timestamp with time zone,
    next_run_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.schema_migrations (
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.upload_chunks (
    task_id text NOT NULL,
    chunk_index integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    tag text DEFAULT ''::text NOT NULL,
    CONSTRAINT upload_chunks_chunk_index_check CHECK ((chunk_index >= 0))
);

CREATE TABLE public.upload_tasks (
    id text NOT NULL,
    account_id uuid NOT NULL,
    status smallint DEFAULT 1 NOT NULL,
    file_id text NOT NULL,
    object_id text NOT NULL,
    file_name text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL,
    chunk_size_bytes bigint NOT NULL,
    chunks_count integer NOT NULL,
    sha256 bytea,
    pool_id uuid NOT NULL,
    bundle_id uuid,
    path text,
    file_expired_at timestamp with time zone,
    error_message text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    last_activity_at timestamp with time zone DEFAULT now() NOT NULL,
    completed_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    tus_offset_bytes bigint,
    tus_metadata text,
    visibility text DEFAULT 'public'::text NOT NULL,
    realm_id uuid,
    CONSTRAINT upload_tasks_chunk_size_bytes_check CHECK ((chunk_size_bytes > 0)),
    CONSTRAINT upload_tasks_chunks_count_check CHECK ((chunks_count >= 0)),
    CONSTRAINT upload_tasks_content_type_check CHECK ((char_length(content_type) <= 256)),
    CONSTRAINT upload_tasks_file_name_check CHECK (((char_length(file_name) >= 1) AND (char_length(file_name) <= 1024))),
    CONSTRAINT upload_tasks_file_name_check1 CHECK ((octet_length(file_name) <= 2048)),
    CONSTRAINT upload_tasks_id_check CHECK ((id ~ '^[A-Za-z0-9_-]{1,32}$'::text)),
    CONSTRAINT upload_tasks_path_check CHECK (((path ~ '^/'::text) AND (path ~ '/$'::text) AND (char_length(path) <= 1024) AND (octet_length(path) <= 2048))),
    CONSTRAINT upload_tasks_realm_check CHECK (((visibility = 'realm'::text) = (realm_id IS NOT NULL))),
    CONSTRAINT upload_tasks_sha256_check CHECK ((octet_length(sha256) = 32)),
    CONSTRAINT upload_tasks_size_bytes_check CHECK ((size_bytes >= 0)),
    CONSTRAINT upload_tasks_tus_check CHECK ((((tus_offset_bytes IS NULL) = (tus_metadata IS NULL)) AND ((tus_offset_bytes >= 0) AND (tus_offset_bytes <= size_bytes)))),
    CONSTRAINT upload_tasks_visibility_check CHECK ((visibility = ANY (ARRAY['public'::text, 'private'::text, 'realm'::text])))
);

CREATE TABLE public.usage (
    account_id uuid NOT NULL,
    pool_id uuid NOT NULL,
    file_count bigint DEFAULT 0 NOT NULL,
    size_bytes bigint DEFAULT 0 NOT NULL,
    indexed_count bigint DEFAULT 0 NOT NULL,
    recycled_count bigint DEFAULT 0 NOT NULL,
    recycled_size_bytes bigint DEFAULT 0 NOT NULL,
    recycled_indexed_count bigint DEFAULT 0 NOT NULL
);

ALTER TABLE ONLY public.bundles
    ADD CONSTRAINT bundles_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.experience_days
    ADD CONSTRAINT experience_days_pkey PRIMARY KEY (account_id, day);

ALTER TABLE ONLY public.file_indexes
    ADD CONSTRAINT file_indexes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.file_references
    ADD CONSTRAINT file_references_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.objects
    ADD CONSTRAINT objects_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.pools
    ADD CONSTRAINT pools_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quota_orders
    ADD CONSTRAINT quota_orders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quota_records
    ADD CONSTRAINT quota_records_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.upload_chunks
    ADD CONSTRAINT upload_chunks_pkey PRIMARY KEY (task_id, chunk_index);

ALTER TABLE ONLY public.upload_tasks
    ADD CONSTRAINT upload_tasks_file_id_key UNIQUE (file_id);

ALTER TABLE ONLY public.upload_tasks
    ADD CONSTRAINT upload_tasks_object_id_key UNIQUE (object_id);

ALTER TABLE ONLY public.upload_tasks
    ADD CONSTRAINT upload_tasks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.usage
    ADD CONSTRAINT usage_pkey PRIMARY KEY (account_id, pool_id);

CREATE INDEX bundles_deleted ON public.bundles USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

CREATE INDEX bundles_deleted_of_account ON public.bundles USING btree (account_id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX bundles_of_account ON public.bundles USING btree (account_id, created_at DESC, id) WHERE (deleted_at IS NULL);

CREATE UNIQUE INDEX bundles_slug ON public.bundles USING btree (slug) WHERE (deleted_at IS NULL);

CREATE INDEX file_indexes_by_date ON public.file_indexes USING btree (account_id, hashtextextended(path, (0)::bigint), file_created_at DESC, file_id) WHERE (NOT is_recycled);

CREATE INDEX file_indexes_by_name ON public.file_indexes USING btree (account_id, hashtextextended(path, (0)::bigint), file_name, file_id) WHERE (NOT is_recycled);

CREATE INDEX file_indexes_by_size ON public.file_indexes USING btree (account_id, hashtextextended(path, (0)::bigint), file_size_bytes, file_id) WHERE (NOT is_recycled);

CREATE INDEX file_indexes_of_file ON public.file_indexes USING btree (file_id);

CREATE UNIQUE INDEX file_indexes_once ON public.file_indexes USING btree (account_id, path text_pattern_ops, file_id);

CREATE INDEX file_references_expiring ON public.file_references USING btree (expired_at) WHERE (expired_at IS NOT NULL);

CREATE INDEX file_references_of_file ON public.file_references USING btree (file_id);

CREATE UNIQUE INDEX file_references_once ON public.file_references USING btree (resource_id, usage, file_id);

CREATE INDEX files_deleted ON public.files USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

CREATE INDEX files_deleted_of_account ON public.files USING btree (account_id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX files_expiring ON public.files USING btree (expired_at) WHERE ((expired_at IS NOT NULL) AND (deleted_at IS NULL));

CREATE INDEX files_of_account_by_date ON public.files USING btree (account_id, pool_id, is_marked_recycle, is_indexed, created_at DESC, id) INCLUDE (name) WHERE (deleted_at IS NULL);

CREATE INDEX files_of_account_by_name ON public.files USING btree (account_id, pool_id, is_marked_recycle, is_indexed, name, id) WHERE (deleted_at IS NULL);

CREATE INDEX files_of_account_by_size ON public.files USING btree (account_id, pool_id, is_marked_recycle, is_indexed, size_bytes, id) INCLUDE (name) WHERE (deleted_at IS NULL);

CREATE INDEX files_of_any_bundle ON public.files USING btree (bundle_id) WHERE (bundle_id IS NOT NULL);

CREATE INDEX files_of_bundle ON public.files USING btree (bundle_id) WHERE (deleted_at IS NULL);

CREATE INDEX files_of_object ON public.files USING btree (object_id);

CREATE INDEX files_of_pool ON public.files USING btree (pool_id, id);

CREATE INDEX files_recycled ON public.files USING btree (pool_id, id) WHERE (is_marked_recycle AND (deleted_at IS NULL));

CREATE INDEX files_recycled_of_account ON public.files USING btree (account_id, pool_id, id) WHERE (is_marked_recycle AND (deleted_at IS NULL));

CREATE INDEX folder_counts_of_folder ON public.folder_counts USING btree (account_id, path);

CREATE INDEX folder_counts_to_fold ON public.folder_counts USING btree (account_id, path) WHERE (NOT is_folded);

CREATE INDEX jobs_begun ON public.jobs USING btree (unique_key) WHERE ((unique_key IS NOT NULL) AND (status <> 'pending'::text));

CREATE UNIQUE INDEX jobs_claimed ON public.jobs USING btree (claim) WHERE (claim IS NOT NULL);

CREATE INDEX jobs_due ON public.jobs USING btree (lane, COALESCE(locked_until, run_at), id) WHERE (status <> 'failed'::text);

CREATE INDEX jobs_failed ON public.jobs USING btree (created_at) WHERE (status = 'failed'::text);

CREATE UNIQUE INDEX jobs_waiting_once ON public.jobs USING btree (unique_key) WHERE (status = 'pending'::text);

CREATE UNIQUE INDEX objects_content ON public.objects USING btree (account_id, pool_id, sha256);

CREATE INDEX objects_in_byte_order ON public.objects USING btree (id COLLATE "C");

CREATE INDEX objects_of_pool ON public.objects USING btree (pool_id);

CREATE INDEX pools_deleted ON public.pools USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

CREATE INDEX quota_orders_of_account ON public.quota_orders USING btree (account_id, created_at DESC, id);

CREATE INDEX quota_orders_unpaid ON public.quota_orders USING btree (account_id, expired_at) WHERE (status = 'unpaid'::text);

CREATE INDEX quota_records_deleted ON public.quota_records USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

CREATE INDEX quota_records_deleted_of_account ON public.quota_records USING btree (account_id) WHERE (deleted_at IS NOT NULL);

CREATE INDEX quota_records_of_account ON public.quota_records USING btree (account_id, created_at DESC, id) WHERE (deleted_at IS NULL);

CREATE UNIQUE INDEX quota_records_once ON public.quota_records USING btree (order_id) WHERE (order_id IS NOT NULL);

CREATE INDEX upload_tasks_ended ON public.upload_tasks USING btree (completed_at) WHERE (status <> 1);

CREATE INDEX upload_tasks_expiring ON public.upload_tasks USING btree (expires_at) WHERE (status = 1);

CREATE INDEX upload_tasks_of_account ON public.upload_tasks USING btree (account_id, last_activity_at DESC, id);

CREATE INDEX upload_tasks_of_bundle ON public.upload_tasks USING btree (bundle_id) WHERE (bundle_id IS NOT NULL);

CREATE INDEX upload_tasks_of_pool ON public.upload_tasks USING btree (pool_id);

CREATE INDEX upload_tasks_reserving ON public.upload_tasks USING btree (account_id) INCLUDE (pool_id, size_bytes) WHERE (status = 1);

CREATE TRIGGER entries_counted_in AFTER INSERT ON public.file_indexes REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT EXECUTE FUNCTION public.entries_counted();

CREATE TRIGGER entries_counted_out AFTER DELETE ON public.file_indexes REFERENCING OLD TABLE AS old_entries FOR EACH STATEMENT EXECUTE FUNCTION public.entries_counted();

CREATE TRIGGER entries_counted_over AFTER UPDATE ON public.file_indexes REFERENCING OLD TABLE AS old_entries NEW TABLE AS new_entries FOR EACH STATEMENT EXECUTE FUNCTION public.entries_counted();

CREATE TRIGGER entries_show_files AFTER UPDATE ON public.files REFERENCING OLD TABLE AS old_files NEW TABLE AS new_files FOR EACH STATEMENT EXECUTE FUNCTION public.entries_show_files();

CREATE TRIGGER entry_shows_file BEFORE INSERT ON public.file_indexes FOR EACH ROW EXECUTE FUNCTION public.entry_shows_file();

CREATE TRIGGER file_left_folders AFTER UPDATE OF deleted_at ON public.files FOR EACH ROW WHEN (((old.deleted_at IS NULL) AND (new.deleted_at IS NOT NULL))) EXECUTE FUNCTION public.file_left_folders();

CREATE TRIGGER file_left_resources AFTER UPDATE OF deleted_at ON public.files FOR EACH ROW WHEN (((old.deleted_at IS NULL) AND (new.deleted_at IS NOT NULL))) EXECUTE FUNCTION public.file_left_resources();

CREATE TRIGGER files_counted_in AFTER INSERT ON public.files REFERENCING NEW TABLE AS new_files FOR EACH STATEMENT EXECUTE FUNCTION public.files_counted();

CREATE TRIGGER files_counted_out AFTER DELETE ON public.files REFERENCING OLD TABLE AS old_files FOR EACH STATEMENT EXECUTE FUNCTION public.files_counted();

CREATE TRIGGER files_counted_over AFTER UPDATE ON public.files REFERENCING OLD TABLE AS old_files NEW TABLE AS new_files FOR EACH STATEMENT EXECUTE FUNCTION public.files_counted();

ALTER TABLE ONLY public.file_indexes
    ADD CONSTRAINT file_indexes_file_id_fkey FOREIGN KEY (file_id) REFERENCES public.files(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.file_references
    ADD CONSTRAINT file_references_file_id_fkey FOREIGN KEY (file_id) REFERENCES public.files(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_bundle_id_fkey FOREIGN KEY (bundle_id) REFERENCES public.bundles(id);

ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_object_id_fkey FOREIGN KEY (object_id) REFERENCES public.objects(id);

ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_pool_id_fkey FOREIGN KEY (pool_id) REFERENCES public.pools(id);

ALTER TABLE ONLY public.objects
    ADD CONSTRAINT objects_pool_id_fkey FOREIGN KEY (pool_id) REFERENCES public.pools(id);

ALTER TABLE ONLY public.quota_records
    ADD CONSTRAINT quota_records_order_id_fkey FOREIGN KEY (order_id) REFERENCES public.quota_orders(id);

ALTER TABLE ONLY public.upload_chunks
    ADD CONSTRAINT upload_chunks_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.upload_tasks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.upload_tasks
    ADD CONSTRAINT upload_tasks_bundle_id_fkey FOREIGN KEY (bundle_id) REFERENCES public.bundles(id);

ALTER TABLE ONLY public.upload_tasks
    ADD CONSTRAINT upload_tasks_pool_id_fkey FOREIGN KEY (pool_id) REFERENCES public.pools(id);

ALTER TABLE ONLY public.usage
    ADD CONSTRAINT usage_pool_id_fkey FOREIGN KEY (pool_id) REFERENCES public.pools(id);

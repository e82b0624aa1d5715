/** An INSERT with the rows of a table, of about so many bytes. */
export function largeInsert(bytes: number): string {
  const rowOf = (at: number) =>
    `(${at}, 'name ${at}', '${'x'.repeat(40)} it''s ${(at * 7_919) % 1_000_003}', null, 1.5)`;
  const count = Math.ceil(bytes / (rowOf(100_000).length + 2));
  const rows = Array.from({ length: count }, (_, at) => rowOf(at));
  return `create table t (id int primary key, name text, note text, a int, b numeric);\ninsert into t values\n${rows.join(',\n')};\n`;
}

/** A schema as pg_dump writes it, of about so many bytes: tables with sequences, defaults, keys and comments; half have an index. */
export function schemaDump(bytes: number): string {
  const count = Math.ceil(bytes / tableOf(1_000).length);
  return Array.from({ length: count }, (_, at) => tableOf(at)).join('');
}

function tableOf(at: number): string {
  const name = `table_${at}`;
  const index =
    at % 2 === 0
      ? `CREATE INDEX index_${name}_on_tenant ON public.${name} USING btree (tenant_id, created_at DESC);\n\n\n`
      : '';
  return `--
-- Name: ${name}; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.${name} (
    id bigint NOT NULL,
    tenant_id bigint NOT NULL,
    name character varying(255) DEFAULT ''::character varying NOT NULL,
    status integer DEFAULT 0,
    payload jsonb DEFAULT '{}'::jsonb,
    created_at timestamp without time zone NOT NULL,
    updated_at timestamp without time zone NOT NULL
);


--
-- Name: TABLE ${name}; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.${name} IS 'Rows of ${name}, as the application writes them.';


--
-- Name: ${name}_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.${name}_id_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;
ALTER SEQUENCE public.${name}_id_seq OWNED BY public.${name}.id;
ALTER TABLE ONLY public.${name} ALTER COLUMN id SET DEFAULT nextval('public.${name}_id_seq'::regclass);
ALTER TABLE ONLY public.${name} ADD CONSTRAINT ${name}_pkey PRIMARY KEY (id);


${index}`;
}

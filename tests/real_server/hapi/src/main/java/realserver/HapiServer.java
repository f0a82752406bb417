package realserver;

import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.interceptor.api.IInterceptorService;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.merge.PatientMergeProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.interceptor.RequestValidatingInterceptor;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import ca.uhn.fhir.validation.IInstanceValidatorModule;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import jakarta.persistence.EntityManagerFactory;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import javax.sql.DataSource;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.h2.jdbcx.JdbcConnectionPool;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/**
 * HAPI FHIR's JPA server for R4 on H2, on the loopback interface only.
 *
 * <p>{@code HapiServer [--port N] [--validate] [--data DIR]}: port 0 (the default) takes a free one; with --validate
 * every request body is validated; with --data the database is kept in that folder, else in memory. Prints
 * "listening on URL" when it answers. Ends on SIGTERM, and when its standard input closes, so it never outlives the
 * test that started it.
 */
public final class HapiServer {

    public static void main(String[] arguments) {
        List<String> options = Arrays.asList(arguments);
        try {
            AnnotationConfigApplicationContext spring = wire(databaseUrl(value(options, "--data", "")));
            serve(spring, Integer.parseInt(value(options, "--port", "0")), options.contains("--validate"));
            while (System.in.read() >= 0) {
                // whatever is written to us is no concern of ours: only the end is
            }
            System.exit(0);
        } catch (Exception failure) {
            failure.printStackTrace();
            System.exit(1);  // HAPI's own threads would keep a half-started server alive
        }
    }

    private static String value(List<String> options, String name, String otherwise) {
        int position = options.indexOf(name);
        return position < 0 ? otherwise : options.get(position + 1);
    }

    /** WRITE_DELAY=0: what has been answered is on the disk, also when the process is killed a moment later. */
    private static String databaseUrl(String folder) {
        return folder.isEmpty()
                ? "jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1"
                : "jdbc:h2:file:" + Path.of(folder).toAbsolutePath().resolve("fhir")
                        + ";WRITE_DELAY=0;DB_CLOSE_ON_EXIT=FALSE";
    }

    private static AnnotationConfigApplicationContext wire(String databaseUrl) {
        JdbcConnectionPool pool = JdbcConnectionPool.create(databaseUrl, "sa", "");
        pool.setMaxConnections(30);
        AnnotationConfigApplicationContext spring = new AnnotationConfigApplicationContext();
        spring.registerBean("dataSource", DataSource.class, () -> pool);
        spring.register(Settings.class);
        spring.refresh();
        return spring;
    }

    private static void serve(AnnotationConfigApplicationContext spring, int port, boolean validate)
            throws Exception {
        Server jetty = new Server();
        ServerConnector connector = new ServerConnector(jetty);
        connector.setHost("127.0.0.1");
        connector.setPort(port);
        jetty.addConnector(connector);
        ServletContextHandler handler = new ServletContextHandler("/");
        handler.addServlet(new ServletHolder(new R4Server(spring, validate)), "/fhir/*");
        jetty.setHandler(handler);
        jetty.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(jetty, spring)));
        System.out.println("listening on http://127.0.0.1:" + connector.getLocalPort() + "/fhir");
        System.out.flush();
    }

    private static void stop(Server jetty, AnnotationConfigApplicationContext spring) {
        try {
            jetty.stop();
        } catch (Exception failure) {
            failure.printStackTrace();
        } finally {
            spring.close();
        }
    }

    /** The FHIR endpoint, put together from HAPI's own beans. */
    private static final class R4Server extends RestfulServer {
        private final transient ApplicationContext spring;
        private final boolean validate;

        R4Server(ApplicationContext spring, boolean validate) {
            super(spring.getBean(FhirContext.class));
            this.spring = spring;
            this.validate = validate;
        }

        @Override
        protected void initialize() {
            setInterceptorService(spring.getBean(IInterceptorService.class));
            setDefaultResponseEncoding(EncodingEnum.JSON);
            registerProviders(spring.getBean(ResourceProviderFactory.class).createProviders());
            registerProvider(spring.getBean("mySystemProviderR4"));
            registerProvider(spring.getBean(BulkDataExportProvider.class));
            registerProvider(spring.getBean(PatientMergeProvider.class));
            setPagingProvider(spring.getBean(DatabaseBackedPagingProvider.class));
            setServerConformanceProvider(new JpaCapabilityStatementProvider(
                    this,
                    spring.getBean("mySystemDaoR4", IFhirSystemDao.class),
                    spring.getBean(JpaStorageSettings.class),
                    spring.getBean(ISearchParamRegistry.class),
                    spring.getBean(IValidationSupport.class)));
            if (validate) {
                RequestValidatingInterceptor validating = new RequestValidatingInterceptor();
                validating.addValidatorModule(spring.getBean("myInstanceValidator", IInstanceValidatorModule.class));
                validating.setFailOnSeverity(ResultSeverityEnum.ERROR);
                registerInterceptor(validating);
            }
        }
    }

    /** What HAPI's configuration classes ask of the application around them. */
    @Configuration
    @Import({
        JpaR4Config.class,
        HapiJpaConfig.class,
        JpaBatch2Config.class,
        Batch2JobsConfig.class,
        SubscriptionChannelConfig.class,
        ThreadPoolFactoryConfig.class
    })
    static class Settings {
        @Bean
        JpaStorageSettings storageSettings() {
            JpaStorageSettings settings = new JpaStorageSettings();
            settings.setReuseCachedSearchResultsForMillis(null);  // a search sees what was written just before
            settings.setJobFastTrackingEnabled(true);  // otherwise $export takes minutes
            return settings;
        }

        @Bean
        PartitionSettings partitionSettings() {
            return new PartitionSettings();
        }

        @Bean
        SubscriptionSettings subscriptionSettings() {
            return new SubscriptionSettings();
        }

        @Bean
        @Primary
        LocalContainerEntityManagerFactoryBean entityManagerFactory(
                ConfigurableListableBeanFactory beans,
                FhirContext context,
                JpaStorageSettings settings,
                DataSource dataSource) {
            LocalContainerEntityManagerFactoryBean factory =
                    HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, context, settings);
            Properties jpa = new Properties();
            jpa.setProperty("hibernate.dialect", HapiFhirH2Dialect.class.getName());
            jpa.setProperty("hibernate.hbm2ddl.auto", "update");
            jpa.setProperty("hibernate.search.enabled", "false");
            factory.setPersistenceUnitName("fhir");
            factory.setDataSource(dataSource);
            factory.setJpaProperties(jpa);
            return factory;
        }

        @Bean
        @Primary
        JpaTransactionManager transactionManager(EntityManagerFactory factory) {
            return new JpaTransactionManager(factory);
        }
    }

    private HapiServer() {}
}
